//! A version as semver writes it.

use crate::domain::Version;

/// What a node that names no version is taken to have.
pub(crate) const DEFAULT: Version = Version { major: 1, minor: 0, patch: 0, prerelease: None, build: None };

/// `2.1.9-beta.11+exp.51`; a list that is absent or empty leaves no mark.
pub(crate) fn text(version: &Version) -> String {
    let mut text = format!("{}.{}.{}", version.major, version.minor, version.patch);
    for (mark, identifiers) in [('-', &version.prerelease), ('+', &version.build)] {
        if let Some(identifiers) = identifiers.as_ref().filter(|identifiers| !identifiers.is_empty()) {
            text.push(mark);
            text.push_str(&identifiers.join("."));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(prerelease: Option<&[&str]>, build: Option<&[&str]>) -> Version {
        let owned = |list: &[&str]| list.iter().map(|&identifier| identifier.to_owned()).collect();
        Version { major: 2, minor: 1, patch: 9, prerelease: prerelease.map(owned), build: build.map(owned) }
    }

    #[test]
    fn a_version_is_semver_text() {
        assert_eq!(text(&DEFAULT), "1.0.0");
        assert_eq!(text(&version(None, None)), "2.1.9");
        assert_eq!(text(&version(Some(&["beta", "11"]), Some(&["exp", "51"]))), "2.1.9-beta.11+exp.51");
        assert_eq!(text(&version(Some(&["rc"]), None)), "2.1.9-rc");
        assert_eq!(text(&version(None, Some(&["sha", "0042"]))), "2.1.9+sha.0042");
        assert_eq!(text(&version(Some(&[]), Some(&[]))), "2.1.9");
        let largest = Version { major: u32::MAX, minor: u32::MAX, patch: u32::MAX, prerelease: None, build: None };
        assert_eq!(text(&largest), "4294967295.4294967295.4294967295");
    }
}
