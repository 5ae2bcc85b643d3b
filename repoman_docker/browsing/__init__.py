"""What people see of the images in a repository: lists, single ones, layers, comparisons."""
