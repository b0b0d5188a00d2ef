# For users without a script of their own: all into INBOX.
keep;
