//! How a message came, and what the next server is asked for: RFC 5183, RFC 5228 §5.4, RFC 6009.

use super::*;

const TRANSPORT: Transport<'_> = Transport {
    remote_ip: Some(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1))),
    remote_host: Some("mail.example.com"),
    notify: Some("SUCCESS,FAILURE"),
    orcpt: Some("rfc822;Old+me@example.com"),
    ret: Some("HDRS"),
    envid: Some("QQ314159"),
    by: Some("-3600;RT"),
};

fn asked(require: &str, transport: Transport<'_>, rows: &[(&str, bool)]) {
    for (test, expected) in rows {
        let source = user(&format!("require [{require}]; if {test} {{ discard; }}"));
        let evaluation = evaluate_over(
            &source,
            MAIL.as_bytes(),
            "sender@example.com",
            Options::default(),
            transport,
        );
        let expected = if *expected { "discard" } else { "keep" };
        assert_eq!(words(&evaluation), expected, "{test}");
    }
}

#[test]
fn delivery_status_and_deadline() {
    let require = "\"envelope\",\"envelope-dsn\",\"envelope-deliverby\",\"relational\",\"comparator-i;ascii-numeric\",\
        \"date\",\"variables\"";
    asked(
        require,
        TRANSPORT,
        &[
            // RFC 6009 §3
            ("envelope \"notify\" \"SUCCESS\"", true),
            ("envelope \"NOTIFY\" \"failure\"", true),
            ("envelope \"notify\" \"NEVER\"", false),
            (
                "envelope :comparator \"i;ascii-numeric\" :count \"eq\" \"notify\" \"2\"",
                true,
            ),
            ("envelope :matches \"orcpt\" \"rfc822;*@example.com\"", true),
            ("envelope :localpart \"orcpt\" \"old+me\"", true),
            ("envelope :domain \"orcpt\" \"example.com\"", true),
            ("envelope \"ret\" \"HDRS\"", true),
            ("envelope \"envid\" \"QQ314159\"", true),
            ("envelope :domain :contains \"envid\" \"\"", false),
            ("envelope :count \"eq\" [\"ret\", \"envid\", \"orcpt\"] \"3\"", true),
            // RFC 6009 §5
            ("envelope :contains \"bytimerelative\" \"-\"", true),
            ("envelope \"bytimerelative\" \"-3600\"", true),
            ("envelope \"bymode\" \"R\"", true),
            ("envelope \"bytrace\" \"true\"", true),
            (
                "allof (currentdate :matches :zone \"+0000\" \"iso8601\" \"*\", \
                 envelope :value \"lt\" :zone \"+0000\" \"bytimeabsolute\" \"${0}\")",
                true,
            ),
            (
                "envelope :matches :zone \"+0000\" \"bytimeabsolute\" \"*T*:*:*Z\"",
                true,
            ),
            ("envelope :matches :zone \"+0130\" \"bytimeabsolute\" \"*+01:30\"", true),
        ],
    );
    asked(
        require,
        Transport {
            by: Some("+600;n"),
            ..Transport::default()
        },
        &[
            (
                "envelope :contains [\"notify\", \"orcpt\", \"ret\", \"envid\"] \"\"",
                false,
            ),
            (
                "envelope :count \"eq\" [\"notify\", \"orcpt\", \"ret\", \"envid\"] \"0\"",
                true,
            ),
            (
                "envelope :value \"gt\" :comparator \"i;ascii-numeric\" \"bytimerelative\" \"599\"",
                true,
            ),
            ("envelope \"bymode\" \"N\"", true),
            ("envelope \"bytrace\" \"false\"", true),
        ],
    );
    asked(
        require,
        Transport {
            by: Some("soon"),
            ..Transport::default()
        },
        &[(
            "envelope :contains [\"bymode\", \"bytrace\", \"bytimerelative\", \"bytimeabsolute\"] \"\"",
            false,
        )],
    );
}

#[test]
fn parts_need_their_extension() {
    for (part, message) in [
        ("orcpt", "envelope-dsn"),
        ("bymode", "envelope-deliverby"),
        ("sender", "no part \"sender\""),
    ] {
        let source = format!("require \"envelope\"; if envelope \"{part}\" \"x\" {{ discard; }}");
        let error = evaluate(&source, MAIL).error.expect(part);
        assert!(error.message.contains(message), "{part}: {error}");
    }
}

#[test]
fn the_null_sender_is_empty_whatever_the_part() {
    // RFC 5228 §5.4
    for part in ["", ":all", ":localpart", ":domain"] {
        let source = format!("require \"envelope\"; if envelope {part} \"from\" \"\" {{ discard; }}");
        let evaluation = evaluate_with(&user(&source), MAIL.as_bytes(), "", Options::default());
        assert_eq!(words(&evaluation), "discard", "{part}");
    }
}

#[test]
fn the_environment() {
    let require = "\"environment\",\"relational\",\"vnd.dovecot.environment\",\"variables\"";
    asked(
        require,
        TRANSPORT,
        &[
            // RFC 5183 §4.1
            ("environment \"location\" \"MDA\"", true),
            ("environment \"PHASE\" \"during\"", true),
            ("environment :contains \"host\" \"example\"", true),
            ("environment \"domain\" \"example.org\"", true),
            ("environment \"remote-host\" \"MAIL.example.com\"", true),
            ("environment :matches \"remote-ip\" \"192.0.2.*\"", true),
            ("environment :matches \"version\" \"?*\"", true),
            ("environment :count \"eq\" \"host\" \"1\"", true),
            // RFC 5183 §4: what is not known fails, whatever the key.
            ("environment :contains \"no-such-item\" \"\"", false),
            ("not environment :contains \"vnd.other.item\" \"\"", true),
            ("string \"${env.host}\" \"mx.example.org\"", true),
            ("string \"${env.vnd.dovecot.username}\" \"me@example.org\"", true),
        ],
    );
    asked(
        require,
        Transport::default(),
        &[
            ("environment :contains \"remote-ip\" \"\"", false),
            ("environment :contains \"remote-host\" \"\"", false),
        ],
    );
}

#[test]
fn redirects_ask_for_notices() {
    // RFC 6009 §4
    let redirected = |tags: &str| {
        let source = format!(
            "require [\"redirect-dsn\",\"copy\",\"variables\"]; set \"v\" \"never\"; redirect {tags} \"a@example.net\";"
        );
        let evaluation = evaluate(&source, MAIL);
        match evaluation.plan.actions.first().map(|planned| planned.action.clone()) {
            Some(Action::Redirect { dsn, .. }) => Ok((dsn.notify, dsn.ret)),
            _ => Err(evaluation.error.expect(tags).kind),
        }
    };
    let some = |text: &str| Some(text.to_owned());
    for (tags, notify, ret) in [
        ("", None, None),
        (":copy :notify \"NEVER\"", some("NEVER"), None),
        (":notify \"success,Delay\"", some("SUCCESS,DELAY"), None),
        (":ret \"full\" :notify \"${v}\"", some("NEVER"), some("FULL")),
    ] {
        assert_eq!(redirected(tags), Ok((notify, ret)), "{tags}");
    }
    for tags in [
        ":notify \"NEVER,FAILURE\"",
        ":notify \"SUCCESS, DELAY\"",
        ":notify \"\"",
        ":notify \"ALWAYS\"",
        ":ret \"BODY\"",
    ] {
        assert_eq!(redirected(tags), Err(ErrorKind::Compile), "{tags}");
    }
    assert_eq!(redirected(":ret \"${v}\""), Err(ErrorKind::Runtime));
}
