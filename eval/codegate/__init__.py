"""The check of a code change: the same pair and cases on the base's code and on the branch's, judged by the base."""
