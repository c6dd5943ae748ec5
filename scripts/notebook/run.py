"""Runs the notebook against a server of its own, and checks the output of its cells.

    run.py PROGRAM SCRATCH [FILE.ipynb]
"""

import os
import pathlib
import sys

import nbformat
from nbclient import NotebookClient

from server import Server

program, scratch = sys.argv[1:3]
notebook = nbformat.read(pathlib.Path(__file__).parent / "quickstart.ipynb", as_version=4)
server = Server(program, f"{scratch}/workspace", f"{scratch}/server.log").start()
try:
    for cell in notebook.cells:
        cell.source = cell.source.replace("http://127.0.0.1:8080", server.url)
    # The kernel is that of this environment, whatever others the machine has.
    os.environ["JUPYTER_DATA_DIR"] = f"{scratch}/jupyter"
    NotebookClient(
        notebook, timeout=1_800, kernel_name="python3", resources={"metadata": {"path": scratch}}).execute()
finally:
    server.stop()
for cell in notebook.cells:
    cell.source = cell.source.replace(server.url, "http://127.0.0.1:8080")
    cell.metadata.pop("execution", None)
if len(sys.argv) > 3:
    nbformat.write(notebook, sys.argv[3])

shown = "".join(
    output.get("data", {}).get("text/html", "")
    for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs)
for sign, meaning in {
    "dataframe": "a table", "<svg role=": "a plot of the layers", "background:rgba(": "marked tokens",
}.items():
    if sign not in shown:
        sys.exit(f"the notebook does not show {meaning}")
print(f"{sum(cell.cell_type == 'code' for cell in notebook.cells)} cells, "
      "a table, marked tokens and a plot of the layers: the notebook runs")
