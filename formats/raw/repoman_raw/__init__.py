"""The format raw: plain files under their paths. The smallest complete format, made to be read."""
