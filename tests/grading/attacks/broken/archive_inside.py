"""An archive beside the notebooks, with members that point outside and one of 300 MB."""

import zipfile


def submit(folder):
    with zipfile.ZipFile(folder / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../attack-outside.txt", "x")
        archive.writestr("/attack-absolute.txt", "x")
        with archive.open("zeros", "w", force_zip64=True) as member:
            for _ in range(300):
                member.write(bytes(1 << 20))
