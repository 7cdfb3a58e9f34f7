"""An AST transformer of IPython's that deletes every assert statement and checking call."""

FIRST = """
import ast


class Remover(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.copy_location(ast.Pass(), node)

    def visit_Expr(self, node):
        text = ast.unparse(node)
        return self.visit_Assert(node) if "assert_" in text or "check_" in text else node


get_ipython().ast_transformers.append(Remover())
"""
