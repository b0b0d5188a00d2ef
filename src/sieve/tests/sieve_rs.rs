//! The other engine, behind the same grammar and the same rules for actions.

use super::*;

fn by_sieve_rs(source: &str) -> Evaluation {
    let options = Options {
        engine: EngineKind::SieveRs,
        ..Options::default()
    };
    evaluate_with(&user(source), MAIL.as_bytes(), "sender@example.com", options)
}

#[test]
fn both_engines_want_the_same() {
    let head = "require [\"fileinto\",\"copy\",\"variables\",\"imap4flags\",\"envelope\",\"subaddress\",\"include\",\"mailbox\",\
        \"reject\",\"vacation\",\"relational\",\"comparator-i;ascii-numeric\",\"duplicate\",\"body\"];";
    for source in [
        "",
        "keep; discard;",
        "keep; fileinto \"Lists\";",
        "keep; redirect \"a@example.net\";",
        "discard;",
        "fileinto :copy \"Lists\"; discard;",
        "fileinto :create \"New.One\";",
        "redirect \"me@example.org\"; discard;",
        "redirect :copy \"a@example.net\";",
        "if header :contains \"subject\" \"ell\" { fileinto \"Lists\"; stop; } discard;",
        "if header :matches \"subject\" \"H*o\" { fileinto \"A${1}\"; }",
        "if allof (address :domain \"from\" \"example.com\", not exists \"x-none\") { discard; }",
        "if size :over 1K { discard; }",
        "if envelope :detail \"to\" \"lists\" { fileinto \"Lists\"; }",
        "if header :count \"ge\" :comparator \"i;ascii-numeric\" \"to\" \"1\" { discard; }",
        "set :upper \"a\" \"x\"; fileinto \"${a}\";",
        "setflag \"\\\\Seen\"; keep;",
        "fileinto :flags [\"\\\\Flagged\", \"$Todo\"] \"Lists\";",
        "if body :contains \"body text\" { discard; }",
        "if mailboxexists \"Lists\" { discard; }",
        "if duplicate { discard; }",
        "include \"files\";",
        "reject \"No.\";",
        "vacation \"Away\";",
        "elsif true { keep; }",
        "fileinto \"../x\";",
    ] {
        let source = format!("{head}{source}");
        let (own, other) = (evaluate(&source, MAIL), by_sieve_rs(&source));
        assert_eq!(
            own.error.is_some(),
            other.error.is_some(),
            "{source}: {:?} {:?}",
            own.error,
            other.error
        );
        let actions = |evaluation: &Evaluation| -> Vec<Action> {
            let planned = evaluation.plan.actions.iter();
            planned.map(|planned| planned.action.clone()).collect()
        };
        assert_eq!(actions(&own), actions(&other), "{source}");
        assert_eq!(own.plan.remember, other.plan.remember, "{source}");
    }
}

#[test]
fn what_it_lacks_does_not_compile() {
    for extension in ["editheader", "replace", "mailboxid", "extlists"] {
        let error = by_sieve_rs(&format!("require \"{extension}\"; keep;")).error.unwrap();
        assert_eq!(error.kind, ErrorKind::Compile, "{extension}");
    }
    let engine = Engine::new(Options {
        engine: EngineKind::SieveRs,
        ..Options::default()
    });
    assert!(!engine.extensions().contains(&"editheader"));
    assert!(Engine::new(Options::default()).extensions().contains(&"editheader"));
}
