//! JSON web tokens (RFC 7519) that are signed with an RSA key, with the means that TLS has anyway.

use base::{Error, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Map, Value, json};

use crate::config::JwtAlgorithm;

/// A token with these claims. `header` is added to what says how it is signed; `key` is PEM.
pub(super) fn sign(
    algorithm: JwtAlgorithm,
    mut header: Map<String, Value>,
    claims: &Map<String, Value>,
    key: &str,
) -> Result<String> {
    let (name, scheme) = match algorithm {
        JwtAlgorithm::Rs256 => ("RS256", SignatureScheme::RSA_PKCS1_SHA256),
        JwtAlgorithm::Rs384 => ("RS384", SignatureScheme::RSA_PKCS1_SHA384),
        JwtAlgorithm::Rs512 => ("RS512", SignatureScheme::RSA_PKCS1_SHA512),
        JwtAlgorithm::Ps256 => ("PS256", SignatureScheme::RSA_PSS_SHA256),
    };
    header.insert("alg".into(), json!(name));
    header.insert("typ".into(), json!("JWT"));
    // Causes are left out: they could quote the key.
    let bad = |what: &str| Error::invalid(format!("cannot sign with the key: {what}"));
    let key =
        PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| bad("it is no private key in PEM"))?;
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key)
        .map_err(|_| bad("it is of a kind that is not known"))?;
    let signer = key.choose_scheme(&[scheme]).ok_or_else(|| bad("it is no RSA key"))?;
    let part = |part: &Map<String, Value>| -> Result<String> {
        let text = serde_json::to_string(part).map_err(|_| bad("its claims are no JSON"))?;
        Ok(URL_SAFE_NO_PAD.encode(text))
    };
    let text = format!("{}.{}", part(&header)?, part(claims)?);
    let signature = signer.sign(text.as_bytes()).map_err(|_| bad("it does not sign"))?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// An identifier that no other token has.
pub(super) fn unique_id() -> Result<String> {
    let mut bytes = [0; 16];
    let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| Error::internal("cannot get random bytes"))?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::alg_id;

    use super::*;

    const KEY: &str = include_str!("../../tests/fixtures/rsa/key.pem");
    /// What OpenSSL writes for it by `-RSAPublicKey_out`.
    const PUBLIC: &[u8] = include_bytes!("../../tests/fixtures/rsa/public.der");

    #[test]
    fn a_token_is_signed_as_its_header_says() {
        for (algorithm, name, id) in [
            (JwtAlgorithm::Rs256, "RS256", alg_id::RSA_PKCS1_SHA256),
            (JwtAlgorithm::Rs384, "RS384", alg_id::RSA_PKCS1_SHA384),
            (JwtAlgorithm::Rs512, "RS512", alg_id::RSA_PKCS1_SHA512),
            (JwtAlgorithm::Ps256, "PS256", alg_id::RSA_PSS_SHA256),
        ] {
            let claims = Map::from_iter([("iss".to_owned(), json!("me"))]);
            let token =
                sign(algorithm, Map::from_iter([("kid".to_owned(), json!("k"))]), &claims, KEY).unwrap();
            let (text, signature) = token.rsplit_once('.').unwrap();
            let (header, body) = text.split_once('.').unwrap();
            let decoded =
                |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
            assert_eq!(decoded(header), json!({"alg": name, "kid": "k", "typ": "JWT"}));
            assert_eq!(decoded(body), json!({"iss": "me"}));
            let all = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.all;
            let verifier = all.iter().find(|a| a.signature_alg_id() == id).unwrap();
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            verifier.verify_signature(PUBLIC, text.as_bytes(), &signature).expect(name);
        }
    }

    #[test]
    fn a_key_that_cannot_sign_is_named_and_not_shown() {
        for (key, why) in [
            ("", "it is no private key in PEM"),
            ("hunter2", "it is no private key in PEM"),
            (include_str!("../../tests/fixtures/rsa/certificate.pem"), "it is no private key in PEM"),
        ] {
            let error = sign(JwtAlgorithm::Rs256, Map::new(), &Map::new(), key).unwrap_err();
            assert_eq!(error.message(), format!("cannot sign with the key: {why}"));
        }
        assert_ne!(unique_id().unwrap(), unique_id().unwrap());
    }
}
