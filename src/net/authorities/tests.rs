//! Who is an authority, and for how long. OpenSSL decides the same for PostgreSQL.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use rustls::pki_types::UnixTime;
use webpki::OwnedCertRevocationList;

use super::*;
use crate::net::accept::provider;

/// A certificate that signs others, whatever it says of itself.
struct Signer {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

fn params(name: &str, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    change(&mut params);
    params
}

fn is_authority(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
}

impl Signer {
    /// Signed by its own key.
    fn new(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Signer {
        let (params, key) = (params(name, change), KeyPair::generate().unwrap());
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Signer { certificate, issuer: Issuer::new(params, key) }
    }

    fn signs(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Signer {
        let (params, key) = (params(name, change), KeyPair::generate().unwrap());
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Signer { certificate, issuer: Issuer::new(params, key) }
    }

    /// An empty list, or one with this number.
    fn list(&self, revoked: Option<u64>) -> CertRevocationList<'static> {
        let revoked = revoked.map(|serial| rcgen::RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2900, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.into_iter().collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        OwnedCertRevocationList::from_der(list.signed_by(&self.issuer).unwrap().der()).unwrap().into()
    }
}

/// The word of a problem, and nothing where it is trusted.
fn verdict(authorities: &Authorities, end_entity: &Signer, between: &[&Signer]) -> String {
    let between: Vec<_> = between.iter().map(|one| one.certificate.clone()).collect();
    match authorities.verify(&end_entity.certificate, &between, UnixTime::now()) {
        Ok(()) => String::new(),
        Err(Error::InvalidCertificate(error)) => {
            format!("{:?}", crate::net::connect::certificate_problem(&error, "localhost"))
        }
        Err(other) => panic!("{other}"),
    }
}

fn trusting(certificates: &[&Signer], purpose: Purpose) -> Authorities {
    let certificates = certificates.iter().map(|one| one.certificate.clone()).collect();
    Authorities::named(certificates, purpose, &provider()).unwrap()
}

#[test]
fn only_who_may_sign_is_an_authority() {
    let serves = |params: &mut CertificateParams| params.is_ca = IsCa::ExplicitNoCa;
    let usage =
        |usages: &'static [KeyUsagePurpose]| move |params: &mut CertificateParams| params.key_usages = usages.to_vec();
    let extended = |usage: ExtendedKeyUsagePurpose| {
        move |params: &mut CertificateParams| {
            is_authority(params);
            params.extended_key_usages = vec![usage];
        }
    };
    for purpose in [Purpose::Server, Purpose::Client] {
        let (other, same) = match purpose {
            Purpose::Server => (ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth),
            Purpose::Client => (ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth),
        };
        let no_key_usage = |params: &mut CertificateParams| {
            is_authority(params);
            params.key_usages = vec![KeyUsagePurpose::CrlSign];
        };
        for (what, signer, trusted) in [
            ("CA:TRUE", Signer::new("ca", is_authority), true),
            ("CA:FALSE", Signer::new("ca", serves), false),
            ("neither", Signer::new("ca", |_| {}), false),
            ("keyCertSign alone", Signer::new("ca", usage(&[KeyUsagePurpose::KeyCertSign])), true),
            ("another usage", Signer::new("ca", usage(&[KeyUsagePurpose::DigitalSignature])), false),
            ("CA:TRUE without keyCertSign", Signer::new("ca", no_key_usage), false),
            ("for this purpose", Signer::new("ca", extended(same)), true),
            ("for the other purpose", Signer::new("ca", extended(other)), false),
        ] {
            let authorities = trusting(&[&signer], purpose);
            let leaf = signer.signs("leaf", serves);
            let expected = if trusted { "" } else { "EndEntityAsCa" };
            assert_eq!(verdict(&authorities, &leaf, &[]), expected, "{purpose:?}: {what}");
            assert_eq!(verdict(&authorities, &signer, &[]), "", "{purpose:?}: {what}: it speaks for itself");
            let stranger = Signer::new("ca", serves);
            assert_eq!(verdict(&authorities, &stranger, &[]), "SelfSigned", "{purpose:?}: {what}");
        }
    }
}

#[test]
fn one_that_is_named_beside_its_authority_signs_nothing_either() {
    let ca = Signer::new("ca", is_authority);
    let server = ca.signs("a server", |params| params.is_ca = IsCa::ExplicitNoCa);
    let authorities = trusting(&[&ca, &server], Purpose::Server);
    assert_eq!(verdict(&authorities, &server, &[]), "");
    let forged = server.signs("another", |_| {});
    assert_eq!(verdict(&authorities, &forged, &[]), "EndEntityAsCa");
    assert_eq!(verdict(&authorities, &forged, &[&server]), "EndEntityAsCa");
}

#[test]
fn an_authority_has_its_dates() {
    for (from, until, trusted) in [(2000, 2900, true), (2000, 2001, false), (2800, 2900, false)] {
        let signer = Signer::new("ca", |params| {
            is_authority(params);
            (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        });
        let leaf = signer.signs("leaf", |_| {});
        let expected = if trusted { "" } else { "AuthorityNotInForce" };
        assert_eq!(verdict(&trusting(&[&signer], Purpose::Server), &leaf, &[]), expected, "{from} to {until}");
    }
}

#[test]
fn a_renewed_authority_may_stand_beside_the_old_one() {
    let key = KeyPair::generate().unwrap();
    let of = |until| {
        let params = params("ca", |params| {
            is_authority(params);
            params.not_after = date_time_ymd(until, 1, 1);
        });
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Signer { certificate, issuer: Issuer::new(params, KeyPair::from_pem(&key.serialize_pem()).unwrap()) }
    };
    let (old, new) = (of(2001), of(2900));
    let leaf = new.signs("leaf", |_| {});
    assert_eq!(verdict(&trusting(&[&old, &new], Purpose::Server), &leaf, &[]), "");
    assert_eq!(verdict(&trusting(&[&new, &old], Purpose::Server), &leaf, &[]), "");
    assert_eq!(verdict(&trusting(&[&old], Purpose::Server), &leaf, &[]), "AuthorityNotInForce");
}

#[test]
fn an_authority_has_so_many_below_it() {
    for (most, trusted) in [(0, false), (1, true)] {
        let root = Signer::new("root", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(most)));
        let between = root.signs("between", is_authority);
        let leaf = between.signs("leaf", |_| {});
        let authorities = trusting(&[&root], Purpose::Client);
        assert_eq!(verdict(&authorities, &leaf, &[&between]), if trusted { "" } else { "PathLength" });
        assert_eq!(verdict(&authorities, &root.signs("near", |_| {}), &[]), "");
    }
}

#[test]
fn who_is_named_is_still_looked_for_in_the_lists() {
    let may_list = |params: &mut CertificateParams| {
        is_authority(params);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    };
    let ca = Signer::new("ca", may_list);
    let server = ca.signs("a server", |params| params.serial_number = Some(SerialNumber::from(7)));
    for (revoked, expected) in [(Some(7), "Revoked"), (Some(8), ""), (None, "")] {
        let authorities = trusting(&[&ca, &server], Purpose::Server).with_lists(vec![ca.list(revoked)]);
        assert_eq!(verdict(&authorities, &server, &[]), expected, "{revoked:?}");
    }
    let itself = Signer::new("itself", may_list);
    let authorities = trusting(&[&itself], Purpose::Server);
    assert_eq!(verdict(&authorities, &itself, &[]), "");
    for lists in [vec![itself.list(None)], vec![ca.list(None)]] {
        let authorities = trusting(&[&itself], Purpose::Server).with_lists(lists);
        assert_eq!(verdict(&authorities, &itself, &[]), "NamedWithLists");
    }
}
