//! OAuth 2.0: the endpoints that programs outside of this house know (RFC 6749, RFC 7662, RFC 8628, RFC 8414).
//!
//! Promises: a refusal has the standard's word for it; a parameter that comes twice is an error and one that nobody
//! knows is ignored (RFC 6749 section 3.2); what is not served is not named in the metadata.
//! Refuses: every grant but the one of devices, every client but the built-in one, which has no secret, and to say
//! anything about a token to somebody who was not admitted for that.

pub mod api;
pub mod introspect;

/// The grant of RFC 8628 section 3.4.
pub const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The parameters of a request to an OAuth endpoint.
pub struct Parameters(Vec<(String, String)>);

/// A parameter that was sent more than once (RFC 6749 section 3.2).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the parameter `{0}` was sent more than once")]
pub struct Repeated(pub String);

impl Parameters {
    /// Takes the pairs of a form. A name without a value counts as left out (RFC 6749 section 3.2).
    pub fn new(pairs: Vec<(String, String)>) -> Result<Parameters, Repeated> {
        let pairs: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        for (at, (name, _)) in pairs.iter().enumerate() {
            if pairs[..at].iter().any(|(before, _)| before == name) {
                return Err(Repeated(name.chars().filter(char::is_ascii_graphic).take(40).collect()));
            }
        }
        Ok(Parameters(pairs))
    }

    /// The value of this parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_counts_once_and_an_empty_one_not_at_all() {
        let pairs = |text: &[(&str, &str)]| text.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let good = Parameters::new(pairs(&[("a", "1"), ("b", ""), ("b", "2")]));
        assert!(good.is_ok_and(|all| all.get("a") == Some("1") && all.get("b") == Some("2") && all.get("c").is_none()));
        let twice = Parameters::new(pairs(&[("a", "1"), ("a", "1")]));
        assert_eq!(twice.err(), Some(Repeated("a".to_owned())));
    }
}
