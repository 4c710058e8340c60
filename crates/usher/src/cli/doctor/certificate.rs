//! When a certificate ends: the one field that is needed, read straight from its DER (RFC 5280 section 4.1).

use crate::time::Time;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::Path;

/// The end of the first certificate in a PEM file; none when it cannot be read.
pub fn ends(path: &Path) -> Option<Time> {
    let certificate = CertificateDer::pem_file_iter(path).ok()?.next()?.ok()?;
    not_after(&certificate)
}

/// Tag, content, and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let (digits, after) =
            rest.split_at_checked(usize::from(first & 0x7f)).filter(|(digits, _)| digits.len() <= 4)?;
        length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
        rest = after;
    }
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

fn not_after(der: &[u8]) -> Option<Time> {
    let (_, certificate, _) = element(der)?;
    let (_, mut fields, _) = element(certificate)?;
    // An explicit version ([0]) may come first; then serial number, algorithm and issuer.
    if element(fields)?.0 == 0xa0 {
        fields = element(fields)?.2;
    }
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (_, validity, _) = element(fields)?;
    let (_, _, second) = element(validity)?;
    let (tag, text, _) = element(second)?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    // UTCTime (0x17) has two digits of the year: 50 and more are of the last century.
    let (century, text) = match tag {
        0x17 => (if *text.as_bytes().first()? >= b'5' { "19" } else { "20" }, text),
        _ => ("", text),
    };
    let digits = format!("{century}{text}");
    let part = |from: usize, to: usize| digits.get(from..to);
    let written = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0, 4)?,
        part(4, 6)?,
        part(6, 8)?,
        part(8, 10)?,
        part(10, 12)?,
        part(12, 14)?
    );
    let at: jiff::Timestamp = written.parse().ok()?;
    Some(Time(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_read_from_its_der() -> Result<(), rcgen::Error> {
        let mut params = rcgen::CertificateParams::new(vec!["media.example".to_owned()])?;
        params.not_after = rcgen::date_time_ymd(2031, 4, 5);
        let certificate = params.self_signed(&rcgen::KeyPair::generate()?)?;
        assert_eq!(not_after(certificate.der()).map(Time::rfc3339).as_deref(), Some("2031-04-05T00:00:00.000Z"));
        assert_eq!(not_after(&certificate.der()[..40]), None);
        Ok(())
    }
}
