//! What a server announces after LHLO or EHLO (RFC 5321 §4.1.1.1).

/// The extensions of a server that a client of ours may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// RFC 1870; the limit in bytes, 0 where it is not stated.
    pub size: Option<u64>,
    /// RFC 6152.
    pub eight_bit_mime: bool,
    /// RFC 6531.
    pub smtputf8: bool,
    /// RFC 3207.
    pub starttls: bool,
    /// RFC 2920.
    pub pipelining: bool,
    /// RFC 3030.
    pub chunking: bool,
    /// RFC 3461.
    pub dsn: bool,
}

impl Capabilities {
    /// Reads the lines of the reply; the first is the server's name.
    #[must_use]
    pub fn of(lines: &[String]) -> Capabilities {
        let mut capabilities = Capabilities::default();
        for line in lines.iter().skip(1) {
            let mut words = line.split_ascii_whitespace();
            let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
            match keyword.as_str() {
                "SIZE" => capabilities.size = Some(words.next().and_then(|limit| limit.parse().ok()).unwrap_or(0)),
                "8BITMIME" => capabilities.eight_bit_mime = true,
                "SMTPUTF8" => capabilities.smtputf8 = true,
                "STARTTLS" => capabilities.starttls = true,
                "PIPELINING" => capabilities.pipelining = true,
                "CHUNKING" => capabilities.chunking = true,
                "DSN" => capabilities.dsn = true,
                _ => {}
            }
        }
        capabilities
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads() {
        let lines = ["SIZE CHUNKING", "size 10", "Pipelining", "x y"].map(str::to_owned);
        let expected = Capabilities {
            size: Some(10),
            pipelining: true,
            ..Capabilities::default()
        };
        assert_eq!(Capabilities::of(&lines), expected);
    }
}
