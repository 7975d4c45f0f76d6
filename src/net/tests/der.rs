//! Certificates that no library makes: of X.509 version 1, or with a key that is too short. DER is taken apart and put together.

use rcgen::SigningKey;
use rustls::pki_types::CertificateDer;

/// The elements of a constructed value, each whole.
fn elements(mut der: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while !der.is_empty() {
        let (head, length) = head(der);
        let (one, rest) = der.split_at(head + length);
        found.push(one);
        der = rest;
    }
    found
}

/// Length of the head, and of the content.
fn head(der: &[u8]) -> (usize, usize) {
    match der[1] {
        short @ ..0x80 => (2, short.into()),
        long => {
            let octets = usize::from(long & 0x7f);
            (2 + octets, der[2..2 + octets].iter().fold(0, |length, octet| length << 8 | usize::from(*octet)))
        }
    }
}

fn content(der: &[u8]) -> &[u8] {
    let (head, length) = head(der);
    &der[head..head + length]
}

fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = match length {
        ..0x80 => vec![tag, length as u8],
        0x80..0x100 => vec![tag, 0x81, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    out.extend(content);
    out
}

/// The same certificate without version and extensions, signed again.
pub(super) fn version_1(certificate: &CertificateDer<'_>, issuer: &impl SigningKey) -> String {
    rewritten(certificate, issuer, |part| !matches!(part[0], 0xa0 | 0xa3), |_| None)
}

/// The same certificate with an RSA key of so many bits, which nobody has.
pub(super) fn rsa(certificate: &CertificateDer<'_>, issuer: &impl SigningKey, bits: usize) -> CertificateDer<'static> {
    // rsaEncryption with NULL.
    let algorithm = wrap(0x30, b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00");
    let modulus = [&[0][..], &vec![0xc5; bits / 8]].concat();
    let key = wrap(0x30, &[wrap(2, &modulus), wrap(2, &[1, 0, 1])].concat());
    let key = wrap(0x30, &[algorithm, wrap(3, &[&[0][..], &key].concat())].concat());
    // The seventh part of a certificate of version 3.
    let pem = rewritten(certificate, issuer, |_| true, |n| (n == 6).then(|| key.clone()));
    rustls::pki_types::pem::PemObject::from_pem_slice(pem.as_bytes()).unwrap()
}

fn rewritten(
    certificate: &CertificateDer<'_>,
    issuer: &impl SigningKey,
    keep: impl Fn(&[u8]) -> bool,
    replace: impl Fn(usize) -> Option<Vec<u8>>,
) -> String {
    let whole = elements(content(certificate));
    let parts = elements(content(whole[0])).into_iter().enumerate();
    let parts = parts.filter(|(_, part)| keep(part)).map(|(n, part)| replace(n).unwrap_or_else(|| part.to_vec()));
    let signed = wrap(0x30, &parts.collect::<Vec<_>>().concat());
    let signature = [&[0][..], &issuer.sign(&signed).unwrap()].concat();
    let der = wrap(0x30, &[signed, whole[1].to_vec(), wrap(3, &signature)].concat());
    let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
