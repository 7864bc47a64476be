//! What a component uses of what it may use, for whoever certifies it.

use wasmparser::Validator;

use super::{PROFILE_FEATURES, imports};

/// What a component imports and which features it uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surface {
    /// The names that it imports: types and interfaces of types, since the gate admits nothing else.
    pub imports: Vec<String>,
    /// The features of the profile without which it would not be valid.
    pub features: Vec<String>,
}

/// The surface of a component that the gate has admitted.
#[must_use]
pub fn surface(component: &[u8]) -> Surface {
    let needs = |feature| Validator::new_with_features(PROFILE_FEATURES.difference(feature)).validate_all(component).is_err();
    let features = PROFILE_FEATURES.iter_names().filter(|(_, feature)| needs(*feature));
    let mut features: Vec<String> = features.map(|(name, _)| name.to_lowercase().replace('_', "-")).collect();
    features.sort();
    let mut imports = imports::names(component);
    imports.sort();
    Surface { imports, features }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn features(core: &str) -> Vec<String> {
        surface(&wat::parse_str(format!("(component (core module {core}))")).unwrap()).features
    }

    #[test]
    fn a_feature_is_told_where_nothing_goes_without_it() {
        assert_eq!(features(""), ["component-model"]);
        assert_eq!(features("(func (result i32) i32.const 1 i32.extend8_s)"), ["component-model", "sign-extension"]);
        assert!(features("(func (result f64) f64.const 1)").contains(&"floats".to_owned()));
        assert!(features("(func (result v128) v128.const i64x2 0 0)").contains(&"simd".to_owned()));
    }

    #[test]
    fn imports_are_told_by_their_names() {
        let component =
            wat::parse_str("(component (import \"a:b/types@1.0.0\" (instance)) (component (import \"c\" (instance))))").unwrap();
        assert_eq!(surface(&component).imports, ["a:b/types@1.0.0"]);
    }
}
