//! Free text as a name: lower case, digits and single hyphens.

/// The longest name, in characters.
const MOST_CHARS: usize = 63;

/// `text` in lower case, every run of characters outside `[a-z0-9]` made one `-`, without `-` at the ends, then cut to 63
/// characters. The cut comes last, so that a name may end with a hyphen only where it was cut at one.
pub(crate) fn slug(text: &str) -> String {
    let mut slug = String::with_capacity(MOST_CHARS);
    for word in text.to_lowercase().split(|c: char| !matches!(c, 'a'..='z' | '0'..='9')).filter(|word| !word.is_empty()) {
        if !slug.is_empty() {
            slug.push('-');
        }
        slug.push_str(word);
    }
    slug.truncate(MOST_CHARS);
    slug
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_joined_by_one_hyphen() {
        for (text, expected) in [
            ("register_node", "register-node"),
            ("My Tool  Name", "my-tool-name"),
            ("--a--b--", "a-b"),
            ("a.b/c:d", "a-b-c-d"),
            ("  lead", "lead"),
            ("trail\t\n", "trail"),
            ("REGISTER", "register"),
            ("0123", "0123"),
            ("a\0b", "a-b"),
            ("!!!", ""),
            ("-", ""),
            ("", ""),
        ] {
            assert_eq!(slug(text), expected, "{text:?}");
        }
    }

    #[test]
    fn characters_outside_ascii_separate_unless_their_lower_case_is_a_letter() {
        assert_eq!(slug("Ångström Test"), "ngstr-m-test");
        assert_eq!(slug("ｗｉｄｅ"), "");
        assert_eq!(slug("日本 Tool 本"), "tool");
        assert_eq!(slug("٣"), "", "only ASCII digits count");
        assert_eq!(slug("\u{212A}elvin"), "kelvin", "the Kelvin sign's lower case is k");
        assert_eq!(slug("D\u{130}Z"), "di-z", "a dotted capital I becomes i and a combining dot");
    }

    #[test]
    fn the_cut_comes_after_the_ends_are_stripped() {
        assert_eq!(slug(&"b".repeat(64)), "b".repeat(63));
        assert_eq!(slug(&"b".repeat(63)), "b".repeat(63));
        assert_eq!(slug(&format!("{} y", "x".repeat(63))), "x".repeat(63));
        assert_eq!(slug(&format!("{} y", "x".repeat(62))), format!("{}-", "x".repeat(62)));
        assert_eq!(slug(&format!("{}{}", "-".repeat(70), "z".repeat(70))), "z".repeat(63));
    }
}
