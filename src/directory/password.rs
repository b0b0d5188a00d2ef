//! Password hashes: as their files have them, and whether a password is the one.
//!
//! Dovecot's files and those of shadow(5) can be taken as they are: a hash says by its own
//! beginning what it is, with or without Dovecot's `{SCHEME}` in front.

use std::fmt;
use std::hint::black_box;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, CustomizedPasswordHasher, Params, PasswordVerifier};
use bcrypt::HashParts;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use sha_crypt::ShaCrypt;

/// What takes the place of a hash where no account has one: argon2id as [`PasswordHash::create`] makes
/// it, of a password that was thrown away.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$cG9zdHJvb20gZGVjb3kuLg$Xl0XvI4p2q+K8v0o0dJ8mN1zq3q8s0vF6d0p5uQm3bA";

/// Rounds of sha-crypt that crypt(3) knows.
const ROUNDS: std::ops::RangeInclusive<u32> = 1000..=999_999_999;

/// The hash of a password. What it prints as tells nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Scheme);

#[derive(Clone, PartialEq, Eq)]
enum Scheme {
    /// `$argon2id$…`, `$argon2i$…` (RFC 9106), as PHC strings.
    Argon2(String),
    /// `$6$…`, `$5$…`: sha512-crypt and sha256-crypt.
    ShaCrypt(String),
    /// `$2a$…`, `$2b$…`, `$2y$…`.
    Bcrypt(String),
    /// The password itself.
    Plain(String),
}

/// Why a text is no hash that we can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordHashError {
    /// Neither a `{SCHEME}` nor a beginning that we know. The text is not in the message: it may be a password.
    #[error(
        "this is no password hash that is known: make one with `postroom password hash`, or write {{PLAIN}} before a password"
    )]
    Unknown,
    /// A scheme of Dovecot's that we do not have.
    #[error(
        "the scheme {{{0}}} is not supported: there are ARGON2ID, ARGON2I, SHA512-CRYPT, SHA256-CRYPT, BLF-CRYPT, CRYPT and PLAIN"
    )]
    Scheme(String),
    /// The scheme says one thing, the hash another.
    #[error("what stands behind {{{0}}} is no such hash")]
    Mismatch(String),
    /// It begins well.
    #[error("the {0} hash is broken: part of it is missing or damaged")]
    Broken(&'static str),
    /// The system gave no random numbers for a new one.
    #[error("the system gave no random numbers")]
    NoRandomness,
}

impl PasswordHash {
    /// Reads a hash with or without `{SCHEME}`.
    ///
    /// A password in the clear needs `{PLAIN}` before it, so that no slip makes one of a broken hash.
    ///
    /// # Errors
    /// [`PasswordHashError`] says what is wrong, and never the text.
    pub fn parse(text: &str) -> Result<PasswordHash, PasswordHashError> {
        let Some((scheme, rest)) = text.strip_prefix('{').and_then(|text| text.split_once('}')) else {
            return of_crypt(text)?.ok_or(PasswordHashError::Unknown).map(PasswordHash);
        };
        let upper = scheme.to_ascii_uppercase();
        let hash = || of_crypt(rest)?.ok_or_else(|| PasswordHashError::Mismatch(upper.clone()));
        let begins = |beginning: &[&str]| beginning.iter().any(|beginning| rest.starts_with(beginning));
        let fits = match upper.as_str() {
            "PLAIN" | "CLEAR" | "CLEARTEXT" => return Ok(PasswordHash(Scheme::Plain(rest.to_owned()))),
            "CRYPT" => true,
            "ARGON2ID" => begins(&["$argon2id$"]),
            "ARGON2I" => begins(&["$argon2i$"]),
            "SHA512-CRYPT" => begins(&["$6$"]),
            "SHA256-CRYPT" => begins(&["$5$"]),
            "BLF-CRYPT" => begins(&["$2"]),
            _ => return Err(PasswordHashError::Scheme(printable(&upper))),
        };
        match fits {
            true => hash().map(PasswordHash),
            false => Err(PasswordHashError::Mismatch(upper)),
        }
    }

    /// A new hash of a password: argon2id, with `{ARGON2ID}` before it, as Dovecot wants it too. It takes 19 MiB
    /// of memory and some hundredths of a second, for us now and for each login later.
    ///
    /// # Errors
    /// [`PasswordHashError::NoRandomness`].
    pub fn create(password: &str) -> Result<String, PasswordHashError> {
        let mut salt = [0; 16];
        SystemRandom::new()
            .fill(&mut salt)
            .map_err(|_| PasswordHashError::NoRandomness)?;
        let id = Algorithm::Argon2id.as_str();
        let hash: phc::PasswordHash = Argon2::default()
            .hash_password_customized(password.as_bytes(), &salt, Some(id), None, Params::default())
            // Only a salt or a password out of bounds fails, and the one is ours, the other a string in memory.
            .map_err(|_| PasswordHashError::Broken("argon2"))?;
        Ok(format!("{{ARGON2ID}}{hash}"))
    }

    /// Whether this is the password. Takes as long as the hash asks for, whatever the answer.
    #[must_use]
    pub fn verify(&self, password: &str) -> bool {
        let password = password.as_bytes();
        match &self.0 {
            Scheme::Argon2(hash) => Argon2::default().verify_password(password, hash.as_str()).is_ok(),
            Scheme::ShaCrypt(hash) => ShaCrypt::SHA512.verify_password(password, hash.as_str()).is_ok(),
            Scheme::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
            // How long two digests are alike tells nothing of what they were made of.
            Scheme::Plain(known) => digest(&SHA256, known.as_bytes()).as_ref() == digest(&SHA256, password).as_ref(),
        }
    }

    /// What unknown users' passwords are held against.
    pub(super) fn decoy() -> PasswordHash {
        PasswordHash(Scheme::Argon2(DECOY.to_owned()))
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

/// What a field for a password says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum PasswordField {
    /// Nothing, or that nobody logs in.
    #[default]
    None,
    /// A hash.
    Hash(PasswordHash),
    /// Something that is of no use to us; deliveries do not depend on it.
    Unusable(PasswordHashError),
}

impl PasswordField {
    /// The second field of a line like passwd(5). Empty, `x`, `*` and `!…` let nobody in, as in shadow(5).
    pub fn parse(text: &str) -> PasswordField {
        if matches!(text, "" | "x" | "*") || text.starts_with('!') {
            return PasswordField::None;
        }
        match PasswordHash::parse(text) {
            Ok(hash) => PasswordField::Hash(hash),
            Err(error) => PasswordField::Unusable(error),
        }
    }

    /// The hash, where it is one.
    pub fn hash(&self) -> Option<&PasswordHash> {
        match self {
            PasswordField::Hash(hash) => Some(hash),
            _ => None,
        }
    }

    /// Whether this is the password of `user`. Where there is no hash it is not, and that takes as long as `decoy`
    /// takes, so that nobody learns who lives here.
    pub fn opens(field: Option<&PasswordField>, decoy: &PasswordHash, user: &str, password: &str) -> bool {
        match field {
            Some(PasswordField::Hash(hash)) => return hash.verify(password),
            Some(PasswordField::Unusable(why)) => tracing::warn!("{user} cannot log in: {why}"),
            Some(PasswordField::None) | None => {}
        }
        black_box(decoy.verify(password));
        false
    }
}

// None: it begins like no hash that is known.
fn of_crypt(text: &str) -> Result<Option<Scheme>, PasswordHashError> {
    if text.starts_with("$argon2id$") || text.starts_with("$argon2i$") {
        let hash = phc::PasswordHash::new(text).map_err(|_| PasswordHashError::Broken("argon2"))?;
        let whole = hash.salt.is_some() && hash.hash.is_some() && Params::try_from(&hash).is_ok();
        return match whole {
            true => Ok(Some(Scheme::Argon2(text.to_owned()))),
            false => Err(PasswordHashError::Broken("argon2")),
        };
    }
    if let Some((rest, name, length)) = sha_crypt_rest(text) {
        return match is_sha_crypt(rest, length) {
            true => Ok(Some(Scheme::ShaCrypt(text.to_owned()))),
            false => Err(PasswordHashError::Broken(name)),
        };
    }
    if ["$2a$", "$2b$", "$2y$"]
        .iter()
        .any(|beginning| text.starts_with(beginning))
    {
        return match text.len() == 60 && text.parse::<HashParts>().is_ok() {
            true => Ok(Some(Scheme::Bcrypt(text.to_owned()))),
            false => Err(PasswordHashError::Broken("bcrypt")),
        };
    }
    Ok(None)
}

// What stands behind `$6$` or `$5$`, the name, and the length that the last field must have.
fn sha_crypt_rest(text: &str) -> Option<(&str, &'static str, usize)> {
    let sha512 = text.strip_prefix("$6$").map(|rest| (rest, "sha512-crypt", 86));
    sha512.or_else(|| text.strip_prefix("$5$").map(|rest| (rest, "sha256-crypt", 43)))
}

// `[rounds=N$]salt$hash`; the salt has 16 characters at most.
fn is_sha_crypt(rest: &str, length: usize) -> bool {
    let rest = match rest.strip_prefix("rounds=").map(|rest| rest.split_once('$')) {
        None => rest,
        Some(Some((rounds, rest))) if rounds.parse().is_ok_and(|rounds| ROUNDS.contains(&rounds)) => rest,
        Some(_) => return false,
    };
    let of_crypt = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/'))
    };
    rest.split_once('$')
        .is_some_and(|(salt, hash)| salt.len() <= 16 && of_crypt(salt) && hash.len() == length && of_crypt(hash))
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic()).take(30).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made with `openssl passwd`, `doveadm pw` and crypt(3), of the password "secret".
    const HASHES: &[&str] = &[
        "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.",
        "{SHA512-CRYPT}$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.",
        "{crypt}$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.",
        "{PLAIN}secret",
        "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$ttn4vVjhniXCdOp/xl4G7g$StHJioRPu8lOnsVJw2BdmFDXgkXrhcINYm5A5+VGZOU",
        "$argon2i$v=19$m=32768,t=4,p=1$vYeKcGu8HWXjlHwwCFb4sA$Sh6z8t6W7wrRyc/wIVfPWLaoGQz6emTxw6yGwTdQd0o",
        "{BLF-CRYPT}$2y$05$0N906ZC/WAMFEd0z.3Ay..GeUntyeGH0HwqHk6FC5U.hrC4MJob.q",
        "{SHA512-CRYPT}$6$rounds=1500$MWAcBmd3KIJwAwTj$Kp063VybkvLJYojuPW4FeA54m9hL/AZLEFh6yJGi.wTrwFL8EgKcfYFCo8O48zPinC07W4BTpwoACj6suHjv0.",
        "$2a$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
        "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
    ];

    #[test]
    fn knows_the_password_and_no_other() {
        for text in HASHES {
            let hash = PasswordHash::parse(text).expect(text);
            assert!(hash.verify("secret"), "{text}");
            for wrong in ["", "Secret", "secret ", "secret\0", "{PLAIN}secret", text] {
                assert!(!hash.verify(wrong), "{text}: {wrong:?}");
            }
        }
    }

    #[test]
    fn a_new_hash_knows_its_password() {
        let hash = PasswordHash::create("pässword").unwrap();
        assert!(hash.starts_with("{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let parsed = PasswordHash::parse(&hash).unwrap();
        assert!(parsed.verify("pässword") && !parsed.verify("password"));
        assert_ne!(PasswordHash::create("pässword").unwrap(), hash, "another salt");
    }

    #[test]
    fn refuses_what_is_no_hash() {
        let sha512 = HASHES[0];
        for text in [
            "secret",
            "",
            "$1$abcdefgh$0123456789012345678901",
            "{SSHA}x",
            "{SSHA512.b64}x",
            "{ARGON2ID}secret",
            "{SHA512-CRYPT}$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.",
            "{BLF-CRYPT}$2x$05$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuuabcdefghijk",
            &sha512[..sha512.len() - 1],
            "$6$rounds=5$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.",
            "$6$abcdefghijklmnopq$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.",
            "$2b$05$short",
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ",
            "$argon2id$v=19$m=1,t=2,p=1$cG9zdHJvb20gZGVjb3kuLg$Xl0XvI4p2q",
        ] {
            let error = PasswordHash::parse(text).expect_err(text).to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_field_may_say_that_nobody_logs_in() {
        for text in ["", "x", "*", "!", "!$6$abcdefgh$x"] {
            assert_eq!(PasswordField::parse(text), PasswordField::None, "{text}");
        }
        assert!(matches!(PasswordField::parse("secret"), PasswordField::Unusable(_)));
        let decoy = PasswordHash::parse("{PLAIN}decoy").unwrap();
        let field = PasswordField::parse("{PLAIN}secret");
        assert!(PasswordField::opens(Some(&field), &decoy, "ann", "secret"));
        assert!(!PasswordField::opens(Some(&field), &decoy, "ann", "decoy"));
        for field in [None, Some(&PasswordField::None), Some(&PasswordField::parse("secret"))] {
            assert!(
                !PasswordField::opens(field, &decoy, "ann", "decoy"),
                "the decoy opens nothing"
            );
            assert!(!PasswordField::opens(field, &decoy, "ann", "secret"));
        }
    }

    #[test]
    fn the_decoy_costs_what_a_new_hash_costs() {
        assert_eq!(PasswordHash::parse(DECOY), Ok(PasswordHash::decoy()));
        let cost = |text: &str| Params::try_from(&phc::PasswordHash::new(text).unwrap()).unwrap();
        let created = PasswordHash::create("x").unwrap();
        assert_eq!(cost(DECOY).m_cost(), cost(&created["{ARGON2ID}".len()..]).m_cost());
        assert!(!PasswordHash::decoy().verify(""));
    }

    #[test]
    fn prints_nothing_of_itself() {
        let hash = PasswordHash::parse("{PLAIN}secret").unwrap();
        assert!(!format!("{hash:?} {:?}", PasswordField::Hash(hash.clone())).contains("secret"));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(\\{[A-Z]{0,9}\\})?(\\$(argon2id|6|5|2b|2y)\\$)?[a-z0-9A-Z$=,./]{0,90}", other in ".{0,60}") {
            for text in [text, other] {
                if let Ok(hash) = PasswordHash::parse(&text) {
                    // What could take long is left to the tables above.
                    if matches!(hash.0, Scheme::Plain(_)) {
                        let _ = hash.verify("x");
                    }
                }
            }
        }
    }
}
