//! JSON before it is parsed.

/// The greatest depth of nesting. Brackets in strings do not count; of what is no JSON it says something, too.
pub fn depth(json: &[u8]) -> usize {
    let (mut now, mut most, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                now += 1;
                most = most.max(now);
            }
            b']' | b'}' if !quoted => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::depth;

    #[test]
    fn depth_counts_arrays_and_objects_but_not_what_is_inside_texts() {
        for (text, levels) in
            [("1", 0), ("[]", 1), (r#"{"a":[{}]}"#, 3), (r#"["[[[\"[["]"#, 1), (r#"[[],["\\"]]"#, 2), ("[[],[]]", 2)]
        {
            assert_eq!(depth(text.as_bytes()), levels, "{text}");
        }
    }
}
