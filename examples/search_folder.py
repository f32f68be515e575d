"""Ask about the texts in a folder: an agent that searches, reads on, and writes a summary if you let it.

    python examples/search_folder.py

A scripted model stands in for a real one, so that this runs offline. It prints:

    write_file summary.md: Returns: 30 days, the customer pays. May it? yes
    Goods may be returned within 30 days, and the customer pays the postage.
    summary.md: Returns: 30 days, the customer pays.
"""

import anyio

from agentkit import Agent
from agentkit.testing import ScriptedModel, call
from agentkit.tools.files import Files
from agentkit.tools.search import Search

HANDBOOK = {
    "returns.md": "# Returns\n\nGoods may be returned within 30 days.\nThe customer pays the postage.\n",
    "opening.md": "# Opening hours\n\nWe are open from nine to five.\n",
}
MODEL = ScriptedModel(
    [
        [call("search_files", query="returning goods")],
        [call("write_file", path="summary.md", text="Returns: 30 days, the customer pays.")],
        "Goods may be returned within 30 days, and the customer pays the postage.",
    ]
)


async def approve(approval) -> bool:
    path, text = approval.arguments["path"], approval.arguments["text"]
    print(f"{approval.call.name} {path}: {text} May it? yes")  # yours asks somebody
    return True


async def main() -> None:
    async with anyio.TemporaryDirectory() as folder:
        for name, text in HANDBOOK.items():
            await anyio.Path(folder, name).write_text(text, encoding="utf-8")
        tools = [*Search(folder).tools, *Files(folder, write=True).tools]
        result = await Agent(MODEL, tools=tools).run("Can I bring it back?", approve=approve)
        print(result.output)
        print("summary.md:", await anyio.Path(folder, "summary.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    anyio.run(main)
