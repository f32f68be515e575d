"""Files, vector stores, and the tools that work with them."""

from .citations import citations, response_citations
from .code_interpreter import CodeInterpreter
from .file_search import FileSearch
from .indexing import Indexer
from .keeping import Files
from .vector_stores import VectorStores

__all__ = ["CodeInterpreter", "FileSearch", "Files", "Indexer", "VectorStores", "citations", "response_citations"]
