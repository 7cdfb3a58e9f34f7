"""Put a script into the feedback page, by HTML, SVG and JavaScript displays."""

FIRST = """
from IPython.display import HTML, SVG, Javascript, display

_script = "<script>document.title = 'attack-{{NAME}}'</script>"
display(HTML(_script))
display(HTML("<img src=x onerror=\\"document.title='attack-{{NAME}}'\\">"))
display(SVG("<svg xmlns='http://www.w3.org/2000/svg'>" + _script + "</svg>"))
display(Javascript("document.title = 'attack-{{NAME}}'"))
"""
