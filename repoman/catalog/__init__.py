"""The read side of the content: lists, trees and sums across repositories."""
