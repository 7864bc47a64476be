//! Where the certificates of one service lie, in files of its folder. Whoever has it started makes them: what keeps services up
//! for development needs none.

use std::path::{Path, PathBuf};

/// Makes all the files, or does not return.
pub type Make = dyn Fn(&Certificates);

/// The files, in PEM.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The authority that vouches for the service and for the client.
    pub authority: PathBuf,
    /// An authority that vouches for nobody.
    pub stranger: PathBuf,
    /// What a client shows.
    pub client: PathBuf,
    /// The client's key.
    pub client_key: PathBuf,
    /// What the service shows, for the host 127.0.0.1.
    pub service: PathBuf,
    /// The service's key.
    pub service_key: PathBuf,
}

impl Certificates {
    /// Has them made in `folder`.
    pub(crate) fn made(folder: &Path, make: &Make) -> Certificates {
        let file = |name: &str| folder.join(name);
        let certificates = Certificates {
            authority: file("authority.pem"),
            stranger: file("stranger.pem"),
            client: file("client.pem"),
            client_key: file("client-key.pem"),
            service: file("service.pem"),
            service_key: file("service-key.pem"),
        };
        make(&certificates);
        certificates
    }
}
