"""What people have saved of OpenAI's Assistants API, brought back: into the server's database, or as an agent's file.

`exports` finds the objects in files, and `agent_files` writes an assistant as an agent; both do without the server's
packages. `writing` needs them.
"""
