//! Every forgery of RFC 8725, and a few more, refused for its own reason.

use crate::support::{ALL, AUDIENCE, ISSUER, KEYS, Keys, NOW, b64, claims, good, header, payload, verifier};
use aws_lc_rs::hmac;
use usher_verify::{Algorithm, Claims, MAX_HEADER, MAX_TOKEN, Refusal, TokenType, Verifier};

fn refusal(token: &str) -> Option<Refusal> {
    verifier().verify(token, TokenType::Access, NOW).err()
}

/// What becomes of a truly signed token of this header.
fn of_header(header: &str) -> Option<Refusal> {
    refusal(&KEYS.token(Algorithm::Es256, header, &payload()))
}

/// What becomes of a truly signed token of these claims.
fn of_payload(payload: &str) -> Option<Refusal> {
    refusal(&KEYS.token(Algorithm::Es256, &header(Algorithm::Es256), payload))
}

fn of_claims(change: impl FnOnce(&mut Claims)) -> Option<Refusal> {
    let mut claims = claims();
    change(&mut claims);
    of_payload(&serde_json::to_string(&claims).unwrap())
}

#[test]
fn a_good_token_of_each_algorithm_is_admitted_with_all_its_claims() {
    for algorithm in ALL {
        assert_eq!(verifier().verify(&good(algorithm), TokenType::Access, NOW), Ok(claims()), "{algorithm:?}");
    }
}

#[test]
fn a_token_without_signature_is_refused_whatever_it_calls_itself() {
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let head = b64(format!(r#"{{"alg":"{alg}","typ":"at+jwt","kid":"ES256"}}"#).as_bytes());
        assert_eq!(refusal(&format!("{head}.{}.", b64(payload().as_bytes()))), Some(Refusal::WrongAlgorithm), "{alg}");
    }
    let (signed, _) = good(Algorithm::Es256).rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert_eq!(refusal(&format!("{signed}.")), Some(Refusal::BadSignature));
    assert_eq!(refusal(&signed), Some(Refusal::Malformed));
}

#[test]
fn a_public_key_is_not_a_shared_secret() {
    let jwks = KEYS.public().to_jwks();
    for secret in [jwks.as_bytes(), KEYS.pkcs8(Algorithm::Rs256).as_slice(), b""] {
        for kid in ["RS256", "ES256", "EdDSA"] {
            let head = format!(r#"{{"alg":"HS256","typ":"at+jwt","kid":"{kid}"}}"#);
            let signed = format!("{}.{}", b64(head.as_bytes()), b64(payload().as_bytes()));
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
            assert_eq!(refusal(&format!("{signed}.{}", b64(tag.as_ref()))), Some(Refusal::WrongAlgorithm));
        }
    }
}

#[test]
fn the_key_decides_the_algorithm() {
    for signed_by in ALL {
        for named in ALL {
            for kid in ALL {
                let (alg, kid_name) = (named.name(), kid.name());
                let head = format!(r#"{{"alg":"{alg}","typ":"at+jwt","kid":"{kid_name}"}}"#);
                let wanted = match (named == kid, signed_by == kid) {
                    (false, _) => Some(Refusal::WrongAlgorithm),
                    (true, false) => Some(Refusal::BadSignature),
                    (true, true) => None,
                };
                assert_eq!(refusal(&KEYS.token(signed_by, &head, &payload())), wanted, "{head} by {signed_by:?}");
            }
        }
    }
    for alg in ["PS256", "RS512", "ES384", "ES256K", "es256", "HS512", "Ed448", "RSA-OAEP", "dir"] {
        let head = format!(r#"{{"alg":"{alg}","typ":"at+jwt","kid":"ES256"}}"#);
        assert_eq!(of_header(&head), Some(Refusal::WrongAlgorithm), "{alg}");
    }
}

#[test]
fn both_names_of_ed25519_are_read() {
    let head = r#"{"alg":"Ed25519","typ":"at+jwt","kid":"EdDSA"}"#;
    assert_eq!(refusal(&KEYS.token(Algorithm::Ed25519, head, &payload())), None);
}

#[test]
fn another_key_of_the_same_name_is_refused() {
    let other = Keys::fresh();
    for algorithm in ALL {
        let forged = other.token(algorithm, &header(algorithm), &payload());
        assert_eq!(refusal(&forged), Some(Refusal::BadSignature), "{algorithm:?}");
    }
}

#[test]
fn a_key_that_comes_with_the_token_is_ignored() {
    let other = Keys::fresh();
    let jwks: serde_json::Value = serde_json::from_str(&other.public().to_jwks()).unwrap();
    let mut jwk = jwks["keys"][0].clone();
    jwk["kid"] = "mine".into();
    for kid in ["mine", "ES256"] {
        let head = serde_json::json!({
            "alg": "ES256", "typ": "at+jwt", "kid": kid, "jwk": jwk,
            "jku": "http://127.0.0.1:1/jwks", "x5u": "http://127.0.0.1:1/x5u",
        });
        let refused = refusal(&other.token(Algorithm::Es256, &head.to_string(), &payload()));
        let wanted = if kid == "mine" { Refusal::UnknownKey } else { Refusal::BadSignature };
        assert_eq!(refused, Some(wanted));
    }
    // The same members do no harm to a token that our own key signed.
    let head = r#"{"alg":"ES256","typ":"at+jwt","kid":"ES256","jku":"http://127.0.0.1:1/jwks"}"#;
    assert_eq!(of_header(head), None);
}

#[test]
fn a_kid_is_only_a_name() {
    let long = "k".repeat(600);
    for kid in [
        "../../../../dev/null",
        "/etc/passwd",
        "http://127.0.0.1:1/jwks",
        "' OR '1'='1",
        "ES256'; DROP TABLE signing_keys; --",
        "ES256\\u0000",
        "ES256 ",
        "es256",
        "",
        "$(id)",
        &long,
    ] {
        let head = format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{kid}"}}"#);
        assert_eq!(of_header(&head), Some(Refusal::UnknownKey), "{kid}");
    }
    assert_eq!(of_header(r#"{"alg":"ES256","typ":"at+jwt"}"#), Some(Refusal::UnknownKey));
    for kid in ["7", "null", "[\"ES256\"]", "{}"] {
        let head = format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":{kid}}}"#);
        assert!(of_header(&head).is_some(), "{kid}");
    }
}

#[test]
fn one_kind_of_token_is_never_taken_for_another() {
    let kinds = [TokenType::Access, TokenType::Media, TokenType::Code];
    for made in kinds {
        let head = format!(r#"{{"alg":"ES256","typ":"{}","kid":"ES256"}}"#, made.name());
        let token = KEYS.token(Algorithm::Es256, &head, &payload());
        for wanted in kinds {
            let refused = verifier().verify(&token, wanted, NOW).err();
            assert_eq!(refused, (made != wanted).then_some(Refusal::WrongType), "{made:?} as {wanted:?}");
        }
    }
    for typ in ["\"JWT\"", "\"AT+JWT\"", "\"application/at+jwt\"", "\"dpop+jwt\"", "null", "\"\""] {
        let head = format!(r#"{{"alg":"ES256","typ":{typ},"kid":"ES256"}}"#);
        assert_eq!(of_header(&head), Some(Refusal::WrongType), "{typ}");
    }
    assert_eq!(of_header(r#"{"alg":"ES256","kid":"ES256"}"#), Some(Refusal::WrongType), "as an ID token may look");
}

#[test]
fn a_token_of_another_issuer_is_refused() {
    for iss in ["https://usher.example/", "https://Usher.example", "https://evil.example", ""] {
        assert_eq!(of_claims(|c| c.iss = iss.into()), Some(Refusal::WrongIssuer), "{iss}");
    }
}

#[test]
fn a_token_for_another_app_is_refused() {
    for aud in [vec![], vec!["https://other.example"], vec!["https://api.example/"], vec![ISSUER]] {
        let aud: Vec<String> = aud.into_iter().map(Into::into).collect();
        assert_eq!(of_claims(|c| c.aud = aud.clone()), Some(Refusal::WrongAudience), "{aud:?}");
    }
    assert_eq!(of_claims(|c| c.aud = vec!["https://other.example".into(), AUDIENCE.into()]), None);
    let other = Verifier::new(KEYS.public(), ISSUER, "https://other.example");
    assert_eq!(other.verify(&good(Algorithm::Es256), TokenType::Access, NOW).err(), Some(Refusal::WrongAudience));
}

#[test]
fn a_token_dies_at_its_second_without_leeway() {
    assert_eq!(of_claims(|c| c.exp = NOW + 1), None);
    assert_eq!(of_claims(|c| c.exp = NOW), Some(Refusal::Expired));
    assert_eq!(of_claims(|c| c.exp = 0), Some(Refusal::Expired));
}

#[test]
fn a_token_from_the_future_waits() {
    assert_eq!(of_claims(|c| c.iat = NOW + 60), None);
    assert_eq!(of_claims(|c| c.iat = NOW + 61), Some(Refusal::NotYet));
    let verifier = verifier();
    assert_eq!(verifier.verify(&good(Algorithm::Es256), TokenType::Access, i64::MIN).err(), Some(Refusal::NotYet));
    assert_eq!(verifier.verify(&good(Algorithm::Es256), TokenType::Access, i64::MAX).err(), Some(Refusal::Expired));
}

#[test]
fn claims_of_a_wrong_shape_are_refused_though_signed() {
    let exp = format!("\"exp\":{}", NOW + 600);
    let with = |to: &str| payload().replace(&exp, to);
    assert_ne!(with(""), payload());
    for shape in [
        with(&format!("\"exp\":\"{}\"", NOW + 600)),
        with(&format!("\"exp\":{}.5", NOW + 600)),
        with("\"exp\":-1"),
        with(&format!("{exp},\"exp\":{}", NOW + 9999)),
        with(&format!("{exp},\"\\u0065xp\":{}", NOW + 9999)),
        with("\"nothing\":1"),
        format!("[{}]", payload()),
        String::new(),
        "null".into(),
        "{}".into(),
        format!("{}x", payload()),
    ] {
        assert_eq!(of_payload(&shape), Some(Refusal::Malformed), "{shape}");
    }
    assert_eq!(of_payload(&with(&format!("{exp},\"unheard\":{{\"of\":[1,2.5,null]}}"))), None);
}

#[test]
fn parts_of_two_good_tokens_make_no_third() {
    let ours = good(Algorithm::Es256);
    let parts: Vec<&str> = ours.split('.').collect();
    let mut richer = claims();
    richer.roles.push("admin".into());
    let admin = KEYS.token(Algorithm::Es256, &header(Algorithm::Es256), &serde_json::to_string(&richer).unwrap());
    let theirs: Vec<&str> = admin.split('.').collect();
    assert_eq!(refusal(&[parts[0], theirs[1], parts[2]].join(".")), Some(Refusal::BadSignature));
    assert_eq!(refusal(&[parts[0], parts[1], theirs[2]].join(".")), Some(Refusal::BadSignature));
    for order in [[1, 0, 2], [0, 2, 1], [2, 1, 0], [1, 2, 0], [2, 0, 1], [0, 0, 2]] {
        assert!(refusal(&order.map(|at| parts[at]).join(".")).is_some(), "{order:?}");
    }
}

#[test]
fn a_token_has_one_spelling() {
    for algorithm in ALL {
        let token = good(algorithm);
        for other in [
            format!("{token}="),
            format!("{token}=="),
            format!("{token}\n"),
            format!(" {token}"),
            format!("{token}."),
            format!("{token}A"),
            token.replacen('.', "=.", 1),
            token.replace('.', ".."),
            format!("Bearer {token}"),
        ] {
            assert!(refusal(&other).is_some(), "{other}");
        }
        // All signatures here have 64 or 256 bytes, so their last character has bits to spare.
        let (most, last) = token.split_at(token.len() - 1);
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        for other in alphabet.chars().filter(|c| !last.starts_with(*c)) {
            assert!(refusal(&format!("{most}{other}")).is_some(), "{algorithm:?}: {last} as {other}");
        }
    }
}

#[test]
fn an_ecdsa_signature_is_64_bytes_and_not_zero() {
    let token = good(Algorithm::Es256);
    let (signed, _) = token.rsplit_once('.').unwrap();
    let order_overflow = [0xff; 64];
    for signature in [&[0; 64][..], &[0; 0], &[0; 63], &[0; 65], &order_overflow, &[1; 1024]] {
        assert_eq!(refusal(&format!("{signed}.{}", b64(signature))), Some(Refusal::BadSignature));
    }
}

#[test]
fn giants_are_refused_before_they_are_read() {
    let filler =
        |length: usize| of_payload(&payload().replacen('{', &format!("{{\"x\":\"{}\",", "x".repeat(length)), 1));
    assert_eq!(filler(4000), None);
    assert_eq!(filler(MAX_TOKEN), Some(Refusal::Malformed));
    assert_eq!(refusal(&"a".repeat(50_000_000)), Some(Refusal::Malformed));
    assert_eq!(refusal(&".".repeat(MAX_TOKEN)), Some(Refusal::Malformed));
    let head = format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"ES256","x":"{}"}}"#, "x".repeat(MAX_HEADER));
    assert_eq!(of_header(&head), Some(Refusal::Malformed));
    let deep = format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"ES256","x":{}1{}}}"#, "[".repeat(400), "]".repeat(400));
    assert_eq!(of_header(&deep), Some(Refusal::Malformed));
    let nested = payload().replacen('{', &format!("{{\"x\":{}1{},", "[".repeat(2000), "]".repeat(2000)), 1);
    assert_eq!(of_payload(&nested), Some(Refusal::Malformed));
}

#[test]
fn a_critical_extension_is_refused_though_signed() {
    for crit in ["[\"b64\"]", "[\"exp\"]", "[]", "null"] {
        let head = format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"ES256","b64":false,"crit":{crit}}}"#);
        assert_eq!(of_header(&head), Some(Refusal::Malformed), "{crit}");
    }
    assert_eq!(
        of_header(r#"{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"ES256"}"#),
        Some(Refusal::Malformed),
        "a header member written twice"
    );
}

#[test]
fn an_empty_key_set_admits_nothing() {
    let nobody = Verifier::new(usher_verify::KeySet::default(), ISSUER, AUDIENCE);
    assert_eq!(nobody.verify(&good(Algorithm::Es256), TokenType::Access, NOW).err(), Some(Refusal::UnknownKey));
}
