//! What holds for every page in every state. A small reader of tags is enough: our own templates are
//! regular, and what it cannot read it refuses.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at the first surprise")]

use super::samples::{HOSTILE, Sample, all};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
struct Tag {
    name: String,
    closing: bool,
    attributes: BTreeMap<String, String>,
}

impl Tag {
    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    fn is_open(&self, name: &str) -> bool {
        !self.closing && self.name == name
    }
}

fn tags(html: &str) -> Vec<Tag> {
    let mut found = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>').expect("a tag ends");
        let inside = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if inside.starts_with('!') {
            continue;
        }
        let closing = inside.starts_with('/');
        let inside = inside.trim_start_matches('/');
        let (name, attributes) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
        found.push(Tag { name: name.to_owned(), closing, attributes: read_attributes(attributes) });
    }
    found
}

fn read_attributes(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let name = rest[..end].to_owned();
        rest = &rest[end..];
        let mut value = String::new();
        if let Some(quoted) = rest.strip_prefix("=\"") {
            let close = quoted.find('"').expect("a value ends");
            value = quoted[..close].to_owned();
            rest = &quoted[close + 1..];
        } else {
            assert!(!rest.starts_with('='), "every value is quoted: {text}");
        }
        assert!(found.insert(name, value).is_none(), "an attribute is given once: {text}");
        rest = rest.trim_start();
    }
    found
}

fn each(check: impl Fn(&Sample, &[Tag])) {
    let samples = all();
    assert!(samples.len() > 50, "every page in every state");
    for sample in &samples {
        check(sample, &tags(&sample.html));
    }
}

#[test]
fn every_element_is_closed_in_order() {
    const EMPTY: [&str; 6] = ["meta", "link", "input", "img", "br", "hr"];
    each(|sample, tags| {
        let mut open: Vec<&str> = Vec::new();
        for tag in tags.iter().filter(|tag| !EMPTY.contains(&tag.name.as_str())) {
            if tag.closing {
                assert_eq!(open.pop(), Some(tag.name.as_str()), "{}: {open:?}", sample.name);
            } else {
                open.push(&tag.name);
            }
        }
        assert!(open.is_empty(), "{}: {open:?}", sample.name);
    });
}

#[test]
fn no_page_needs_an_inline_style_or_script() {
    each(|sample, tags| {
        for tag in tags {
            assert_ne!(tag.name, "style", "{}", sample.name);
            for name in tag.attributes.keys() {
                assert!(name != "style" && !name.starts_with("on"), "{}: {tag:?}", sample.name);
            }
            if tag.is_open("script") {
                assert!(tag.get("src").is_some(), "{}: {tag:?}", sample.name);
            }
        }
        assert!(!sample.html.contains("javascript:"), "{}", sample.name);
    });
}

#[test]
fn no_page_loads_or_links_anything_of_others() {
    const ADDRESSES: [&str; 7] = ["href", "src", "action", "poster", "srcset", "data-renew", "formaction"];
    each(|sample, tags| {
        for tag in tags {
            for name in ADDRESSES {
                let Some(address) = tag.get(name) else { continue };
                let own = address.starts_with('/') && !address.starts_with("//");
                let here = address.starts_with('#') || address.starts_with('?');
                // An authenticator app on the same device.
                let app = name == "href" && address.starts_with("otpauth://totp/");
                assert!(own || here || app, "{}: {tag:?}", sample.name);
            }
        }
    });
}

#[test]
fn every_file_a_page_loads_is_there() {
    let icons = include_str!("../../static/icons.svg");
    each(|sample, tags| {
        assert!(!sample.html.contains("/static/-/"), "{} asks for a file that is not embedded", sample.name);
        for tag in tags.iter().filter(|tag| tag.is_open("use")) {
            let (_, icon) = tag.get("href").unwrap().split_once('#').unwrap();
            assert!(icons.contains(&format!("<symbol id=\"{icon}\"")), "{}: no icon {icon}", sample.name);
        }
    });
}

#[test]
fn no_form_stands_within_another_and_every_form_says_where_it_goes() {
    each(|sample, tags| {
        let mut open = false;
        for tag in tags {
            if tag.is_open("form") {
                assert!(!open, "{}: a form within a form", sample.name);
                assert!(tag.get("action").is_some(), "{}: {tag:?}", sample.name);
                open = true;
            } else if tag.name == "form" {
                open = false;
            }
        }
    });
}

#[test]
fn every_field_has_a_label_and_every_button_a_name() {
    each(|sample, tags| {
        let labelled: BTreeSet<&str> =
            tags.iter().filter(|tag| tag.is_open("label")).filter_map(|tag| tag.get("for")).collect();
        for tag in tags.iter().filter(|tag| tag.is_open("input") || tag.is_open("select")) {
            if tag.get("type") == Some("hidden") {
                continue;
            }
            let id = tag.get("id").expect("a field has an id");
            assert!(labelled.contains(id), "{}: {tag:?}", sample.name);
        }
        for (at, tag) in tags.iter().enumerate().filter(|(_, tag)| tag.is_open("button") || tag.is_open("a")) {
            let only_a_picture = tags[at + 1].is_open("svg") && !tags[at + 5].is_open("span");
            let spoken = tag.get("aria-label").is_some() || !only_a_picture;
            assert!(spoken, "{}: {tag:?}", sample.name);
        }
        for tag in tags.iter().filter(|tag| tag.is_open("img")) {
            assert!(tag.get("alt").is_some(), "{}: {tag:?}", sample.name);
        }
    });
}

#[test]
fn ids_are_unique_and_whatever_is_pointed_at_exists() {
    each(|sample, tags| {
        let mut ids = BTreeSet::new();
        for id in tags.iter().filter_map(|tag| tag.get("id")) {
            assert!(ids.insert(id), "{}: two of {id}", sample.name);
        }
        for tag in tags {
            for name in ["for", "aria-describedby", "aria-labelledby", "aria-controls", "data-copy", "data-reveal"] {
                for id in tag.get(name).into_iter().flat_map(str::split_whitespace) {
                    assert!(ids.contains(id), "{}: nothing is called {id}: {tag:?}", sample.name);
                }
            }
        }
    });
}

#[test]
fn names_of_people_and_files_stay_text() {
    let mut met = 0;
    each(|sample, tags| {
        assert!(!sample.html.contains("<script>"), "{}", sample.name);
        let scripts = tags.iter().filter(|tag| tag.is_open("script")).count();
        assert!((1..=3).contains(&scripts), "{}: {scripts} scripts", sample.name);
    });
    for sample in all() {
        assert!(!sample.html.contains(HOSTILE), "{}", sample.name);
        met += usize::from(sample.html.contains("alert(&#39;"));
    }
    assert!(met > 15, "the hostile name was shown on {met} pages");
}

#[test]
fn every_page_has_its_landmarks_and_one_main_heading() {
    each(|sample, tags| {
        for name in ["main", "header", "title", "h1"] {
            let count = tags.iter().filter(|tag| tag.is_open(name)).count();
            assert_eq!(count, 1, "{}: {name}", sample.name);
        }
        assert!(sample.html.contains("class=\"skip\" href=\"#main\""), "{}", sample.name);
        assert!(sample.html.trim_start().starts_with("<!doctype html>"), "{}", sample.name);
        assert!(sample.html.contains("<html lang=\"en\">"), "{}", sample.name);
    });
}

fn fields_of(name: &str, form: &str) -> Vec<String> {
    let sample = all().into_iter().find(|sample| sample.name == name).expect("the sample");
    let tags = tags(&sample.html);
    let start = tags.iter().position(|tag| tag.is_open("form") && tag.get("id") == Some(form)).expect("the form");
    let fields = tags[start..].iter().take_while(|tag| !(tag.closing && tag.name == "form"));
    fields.filter_map(|tag| tag.get("name")).map(str::to_owned).collect()
}

/// Handlers, browser tests and password managers rely on these names.
#[test]
fn forms_send_the_fields_that_were_promised() {
    let table: [(&str, &str, &[&str]); 28] = [
        ("signed_header", "secret-form", &["secret"]),
        ("signed_header_set", "secret-form", &["secret", "confirm"]),
        ("signed_header_set", "remove-secret-form", &["confirm"]),
        ("tv_pin", "pin-form", &["session", "pin"]),
        ("tv_new_pin", "new-pin-form", &["pin"]),
        ("link", "link-form", &["code"]),
        ("link_near", "approve-form", &["code"]),
        ("link_far", "refuse-form", &["code"]),
        ("setup", "setup-form", &["username", "password", "password2"]),
        ("login", "login-form", &["return_to", "username", "password"]),
        ("signup", "signup-form", &["username", "password", "password2"]),
        ("reset", "reset-form", &["password", "password2"]),
        ("password", "password-form", &["current", "password", "password2"]),
        ("logout", "logout-form", &[]),
        ("logout", "header-logout-form", &[]),
        ("account", "password-form", &["current", "password", "password2", "end_others"]),
        ("account", "profile-form", &["display_name", "email", "confirm"]),
        ("account", "end-others-form", &[]),
        ("account", "token-form", &["name", "expires_days", "scopes", "scopes"]),
        ("folder", "search-form", &["q"]),
        ("admin_accounts", "search-form", &["q"]),
        (
            "admin_account",
            "account-form",
            &["role", "groups", "groups", "buckets", "buckets", "buckets", "buckets", "disabled"],
        ),
        ("admin_account", "delete-form", &["confirm"]),
        ("admin_group", "add-member-form", &["username"]),
        ("admin_group", "delete-form", &["confirm"]),
        ("admin_invites", "invite-form", &["note", "groups", "buckets", "buckets", "buckets", "buckets"]),
        ("admin_confirm", "confirm-form", &["confirm", "role", "own_password"]),
        ("admin_audit", "filter-form", &["event", "account", "since"]),
    ];
    for (page, form, fields) in table {
        assert_eq!(fields_of(page, form), fields, "{page} {form}");
    }
}

fn page(name: &str) -> String {
    all().into_iter().find(|sample| sample.name == name).expect("the sample").html
}

#[test]
fn only_admins_see_the_way_to_the_administration() {
    assert!(page("library").contains("href=\"/admin\""));
    assert!(!page("folder").contains("href=\"/admin\""), "bob is no admin");
    assert!(!page("login").contains("Log out"), "nobody is logged in");
}

#[test]
fn the_session_that_asks_is_marked_and_others_can_be_ended_together_only_when_there_are_others() {
    assert_eq!(page("account").matches("This one").count(), 1);
    assert!(page("account").contains("end-others-form"));
    assert!(!page("account_problems").contains("end-others-form"));
}

#[test]
fn a_film_that_cannot_play_says_what_it_is_and_offers_other_ways() {
    let doubt = page("file_video_doubt");
    assert!(doubt.contains("Matroska (.mkv) file with HEVC video and AC-3 sound"));
    let never = page("file_cannot_play");
    assert!(never.contains("an AVI file with DivX video") && !never.contains("<video"));
    for html in [doubt, never] {
        for way in ["id=\"open-in-vlc\" href=\"/playlist/", "id=\"media-url\"", "id=\"download\"", "no transcoding"] {
            assert!(html.contains(way), "{way}");
        }
    }
}

#[test]
fn a_wait_is_told_in_words() {
    assert!(page("login_throttled").contains("Try again in 12 seconds."));
    assert!(page("login_busy").contains("Try again in a second."));
    assert!(page("error_429").contains("Try again in 5 minutes."));
}

/// Contrast of WCAG 2.2 section 1.4.3 (4.5 to 1 for text) and 1.4.11 (3 to 1 for edges), for every pair of
/// colors that the style puts together, in both palettes.
#[test]
fn both_palettes_are_readable() {
    let css = include_str!("../../static/app.css");
    let (light, rest) = css.split_once("@media (prefers-color-scheme: dark)").expect("two palettes");
    let (dark, _) = rest.split_once("/* ---- Ground").expect("then the rest");
    let text = [
        ("ink", "ground"),
        ("ink", "card"),
        ("ink", "sunk"),
        ("muted", "ground"),
        ("muted", "card"),
        ("muted", "sunk"),
        ("accent", "ground"),
        ("accent", "card"),
        ("accent", "accent-soft"),
        ("accent-ink", "accent"),
        ("brass", "sunk"),
        ("brass", "card"),
        ("good", "good-soft"),
        ("bad", "bad-soft"),
        ("bad", "card"),
        ("bad", "ground"),
    ];
    let edges = [("edge", "card"), ("edge", "ground"), ("focus", "ground"), ("focus", "card"), ("brass", "ground")];
    for palette in [light, dark] {
        for (least, pairs) in [(4.5, &text[..]), (3.0, &edges[..])] {
            for (front, back) in pairs {
                let ratio = contrast(&color(palette, front), &color(palette, back));
                assert!(ratio >= least, "{front} on {back}: {ratio:.2}");
            }
        }
    }
}

fn color(palette: &str, name: &str) -> [f64; 3] {
    let start = palette.find(&format!("--{name}: #")).expect("the color") + name.len() + 5;
    [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&palette[start + at..start + at + 2], 16).unwrap()) / 255.0)
}

fn contrast(one: &[f64; 3], other: &[f64; 3]) -> f64 {
    let light = |color: &[f64; 3]| {
        let linear = color.map(|part| if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    };
    let (one, other) = (light(one), light(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}
