"""The recipe before the search: is this data what you think it is, and does this training do what it says?"""
