# Reads every body, as it is and decoded; the load meets neither.
require ["body", "fileinto", "mailbox"];

if body :contains "a word that no message has" {
    fileinto :create "A";
} elsif body :text :contains "another one" {
    fileinto :create "B";
}
