"""Ready-made tools. `load_tools("clock")` loads one module of them; copy a file to have tools of your own."""
