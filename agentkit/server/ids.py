"""Ids, as clients know them by their prefixes."""

import secrets

PREFIXES = {
    "assistant": "asst_",
    "thread": "thread_",
    "message": "msg_",
    "run": "run_",
    "step": "step_",
    "file": "file-",
    "vector_store": "vs_",
    "batch": "vsfb_",
    "response": "resp_",
    "conversation": "conv_",
    "item": "item_",
    "function_call": "fc_",
    "function_call_output": "fco_",
    "reasoning": "rs_",
    "compaction": "cmp_",
    "file_search_call": "fs_",
    "code_interpreter_call": "ci_",
    "chat": "chatcmpl-",
    "request": "req_",
    "upload": "upload_",
    "part": "part_",
    "trace": "trace_",
}


def new_id(kind: str) -> str:
    """An id that nobody can guess: 24 hexadecimal digits behind the kind's prefix."""
    return PREFIXES[kind] + secrets.token_hex(12)
