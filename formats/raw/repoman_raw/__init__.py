"""The raw format: plain files by path. The smallest complete format, as an example."""
