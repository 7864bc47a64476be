//! Certificates for services that tests start, of authorities of their own.

use std::fs;

use purefold_services::Certificates;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Where services listen.
const HOST: &str = "127.0.0.1";

/// Makes them.
pub(super) fn make(files: &Certificates) {
    let (authority, stranger) = (authority("purefold test authority"), authority("purefold test stranger"));
    fs::write(&files.authority, authority.pem()).unwrap();
    fs::write(&files.stranger, stranger.pem()).unwrap();
    for (name, certificate, file) in [(HOST, &files.service, &files.service_key), ("client", &files.client, &files.client_key)] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        fs::write(certificate, params.signed_by(&key, &authority).unwrap().pem()).unwrap();
        fs::write(file, key.serialize_pem()).unwrap();
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}
