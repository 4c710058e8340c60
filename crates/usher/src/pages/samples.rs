//! Every page in every state, filled with what is hard to show: long names, hostile names, nothing at all.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod overview;
mod security;

use super::*;

/// A name that becomes a script wherever it is not escaped.
pub const HOSTILE: &str = "<script>alert('\"&x')</script>";

/// One page in one state.
pub struct Sample {
    pub name: &'static str,
    pub html: String,
}

fn shell(page: Nav, who: Option<(&str, bool)>) -> Shell {
    let who = who.map(|(name, admin)| Who { name: name.to_owned(), admin });
    Shell { service: "Usher".to_owned(), who, banner: None, page, tv: false }
}

fn outside() -> Shell {
    shell(Nav::Elsewhere, None)
}

fn admin_at(page: Nav) -> Shell {
    shell(page, Some(("alice", true)))
}

fn when(text: &str) -> When {
    When { text: text.to_owned(), iso: "2026-11-23T09:30:00.000Z".to_owned() }
}

fn choice(value: &str, label: &str, chosen: bool) -> Choice {
    Choice { value: value.to_owned(), label: label.to_owned(), chosen }
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|&word| word.to_owned()).collect()
}

const RULE: PasswordRule = PasswordRule { at_least: 12 };

/// All of them.
pub fn all() -> Vec<Sample> {
    let mut samples = door();
    samples.extend(link());
    samples.extend(account());
    samples.extend(security::all());
    samples.extend(library());
    samples.extend(admin());
    samples.extend(overview::all());
    samples.extend(wrong());
    samples
}

fn link() -> Vec<Sample> {
    let page = |state| LinkPage { shell: shell(Nav::Elsewhere, Some(("alice", false))), state };
    let device = |near| AskingDevice {
        code: "WDJB-MJHT".to_owned(),
        name: HOSTILE.to_owned(),
        agent: if near { String::new() } else { HOSTILE.to_owned() },
        place: "192.0.2.10".to_owned(),
        near,
        asked: when("just now"),
        username: "alice".to_owned(),
    };
    let enter = |code: &str, problem: Option<&str>| {
        page(LinkState::Enter { code: code.to_owned(), problem: problem.map(str::to_owned) })
    };
    let secret = |since: Option<When>, ask_password, problems| SignedHeaderPage {
        shell: shell(Nav::Account, Some((HOSTILE, false))),
        since,
        ask_password,
        problems,
    };
    let wrong = Problems::one("secret", "Use 8 to 256 characters for the secret.");
    let tv = |people: Vec<TvPerson>, state, problem: Option<&str>| {
        let mut page = TvPage { shell: outside(), people, state, problem: problem.map(str::to_owned) };
        page.shell.tv = true;
        page
    };
    let person =
        |name: &str, active, pin| TvPerson { session: format!("s-{active}-{pin}"), name: name.to_owned(), active, pin };
    let family = || vec![person("alice", true, false), person(HOSTILE, false, true)];
    let pin = || TvState::Pin { session: "s1".to_owned(), name: HOSTILE.to_owned() };
    vec![
        sample("tv", &tv(Vec::new(), TvState::Choose, None)),
        sample("tv_people", &tv(family(), TvState::Choose, Some("This person has to be linked again."))),
        sample("tv_own_pin", &tv(vec![person("alice", true, true)], TvState::Choose, None)),
        sample("tv_pin", &tv(family(), pin(), None)),
        sample("tv_pin_wrong", &tv(family(), pin(), Some("That is not the PIN."))),
        sample("tv_new_pin", &tv(family(), TvState::NewPin { name: HOSTILE.to_owned() }, None)),
        sample("signed_header", &secret(None, false, Problems::default())),
        sample("signed_header_set", &secret(Some(when("yesterday")), true, wrong)),
        sample("link", &enter("", None)),
        sample("link_filled", &enter("WDJB-MJHT", None)),
        sample("link_wrong", &enter(HOSTILE, Some("No device shows this code now."))),
        sample("link_near", &page(LinkState::Decide(device(true)))),
        sample("link_far", &page(LinkState::Decide(device(false)))),
        sample("link_approved", &page(LinkState::Done { approved: true })),
        sample("link_refused", &page(LinkState::Done { approved: false })),
    ]
}

fn sample(name: &'static str, page: &impl Template) -> Sample {
    Sample { name, html: page.render().unwrap() }
}

fn door() -> Vec<Sample> {
    let recover = |username: Option<&str>, refusal| RecoverPage {
        shell: outside(),
        username: username.map(str::to_owned),
        refusal,
    };
    let code = |refusal: Option<CodeRefusal>| CodePage {
        shell: outside(),
        totp: refusal.is_none(),
        passkeys: refusal.is_some(),
        refusal,
    };
    let login = |username: &str, refusal, signup_open| LoginPage {
        shell: outside(),
        username: username.to_owned(),
        return_to: "/library/Films?q=a&b".to_owned(),
        refusal,
        notice: None,
        signup_open,
        passkeys: signup_open,
        forgot: signup_open,
    };
    let mut banner = login("", None, false);
    banner.shell.banner = Some(
        "Home network mode: this connection is not encrypted. Do not use it on a network you share with strangers."
            .to_owned(),
    );
    banner.notice = Some(Notice::done("Your password is changed. Log in with the new one."));
    let weak = || {
        Problems(vec![
            Problem { field: "", text: "The account was not created. See below.".to_owned() },
            Problem { field: "username", text: "That name is taken. Choose another one.".to_owned() },
            Problem { field: "password", text: "That password is among the first that anybody would try.".to_owned() },
            Problem { field: "password2", text: "The two passwords are not the same.".to_owned() },
        ])
    };
    let setup = |state| SetupPage { shell: outside(), rule: RULE, state };
    let signup = |state| SignupPage { shell: outside(), rule: RULE, state };
    let reset = |state| ResetPage { shell: outside(), rule: RULE, state };
    let verify = |state| VerifyPage { shell: outside(), state };
    vec![
        sample("setup", &setup(SetupState::Form { username: String::new(), problems: Problems::default() })),
        sample("setup_problems", &setup(SetupState::Form { username: HOSTILE.to_owned(), problems: weak() })),
        sample("setup_no_link", &setup(SetupState::NoLink)),
        sample("login", &login("", None, false)),
        sample("login_wrong", &login(HOSTILE, Some(Refusal::Wrong), true)),
        sample("login_throttled", &login("alice", Some(Refusal::Throttled { seconds: 12 }), false)),
        sample("login_busy", &login("alice", Some(Refusal::Busy { seconds: 1 }), false)),
        sample("login_stale", &login("alice", Some(Refusal::Stale), false)),
        sample("login_banner", &banner),
        sample("code", &code(None)),
        sample("code_wrong", &code(Some(CodeRefusal::Wrong))),
        sample("recover", &recover(Some(HOSTILE), None)),
        sample("recover_wrong", &recover(Some("alice"), Some(Refusal::Wrong))),
        sample("recover_no_link", &recover(None, None)),
        sample("code_throttled", &code(Some(CodeRefusal::Throttled { seconds: 700 }))),
        sample(
            "signup",
            &signup(SignupState::Form { username: String::new(), problems: Problems::default(), invited: true }),
        ),
        sample(
            "signup_problems",
            &signup(SignupState::Form { username: HOSTILE.to_owned(), problems: weak(), invited: false }),
        ),
        sample("signup_closed", &signup(SignupState::Closed)),
        sample("reset", &reset(ResetState::Form { username: HOSTILE.to_owned(), problems: weak() })),
        sample("reset_no_link", &reset(ResetState::NoLink)),
        sample("forgot", &ForgotPage { shell: outside(), state: ForgotState::Form }),
        sample("forgot_asked", &ForgotPage { shell: outside(), state: ForgotState::Asked }),
        sample("forgot_no_mail", &ForgotPage { shell: outside(), state: ForgotState::NoMail }),
        sample("verify", &verify(VerifyState::Confirm { username: HOSTILE.to_owned(), email: HOSTILE.to_owned() })),
        sample("verify_no_link", &verify(VerifyState::NoLink)),
        sample("verify_done", &verify(VerifyState::Done)),
        sample(
            "password",
            &MustChangePage {
                shell: shell(Nav::Elsewhere, Some(("bob", false))),
                rule: RULE,
                username: "bob".to_owned(),
                problems: Problems::one("current", "That is not your present password."),
            },
        ),
        sample("logout", &LogoutPage { shell: admin_at(Nav::Elsewhere), state: LogoutState::Confirm }),
        sample(
            "logout_done",
            &LogoutPage { shell: outside(), state: LogoutState::Done { again: Link::new("Log in again", "/login") } },
        ),
    ]
}

fn sessions() -> Vec<SessionLine> {
    let line = |id: &str, label: &str, place: &str, this| SessionLine {
        id: id.to_owned(),
        label: label.to_owned(),
        place: place.to_owned(),
        started: when("Nov 2, 2026"),
        last_used: when(if this { "just now" } else { "3 hours ago" }),
        this,
    };
    vec![
        line("0193-a", "Firefox on Linux", "192.168.1.20", true),
        line("0193-b", "Living room television", "192.168.1.31", false),
        line("0193-c", HOSTILE, "2001:db8:85a3:8d3:1319:8a2e:370:7348", false),
    ]
}

fn account() -> Vec<Sample> {
    let token = |id: &str, name: &str, expired, used: Option<&str>| TokenLine {
        id: id.to_owned(),
        name: name.to_owned(),
        scopes: words(&["library:read", "media:read"]),
        created: when("Oct 1, 2026"),
        expires: used.map(|_| when("Jan 1, 2027")),
        expired,
        last_used: used.map(when),
    };
    let page = || AccountPage {
        shell: admin_at(Nav::Account),
        username: "alice".to_owned(),
        notice: None,
        profile: ProfileForm {
            display_name: HOSTILE.to_owned(),
            email: "alice@example.org".to_owned(),
            verified: false,
            can_verify: true,
            ask_password: true,
            problems: Problems::one("confirm", "Enter your password once more for this."),
        },
        rule: RULE,
        problems: Problems::default(),
        sessions: sessions(),
        tokens: vec![
            token("t1", "Backup script", false, Some("yesterday")),
            token("t2", HOSTILE, true, Some("in spring")),
            token("t3", "Old one", false, None),
        ],
        token_form: TokenForm {
            name: String::new(),
            expires_days: 90,
            scopes: vec![
                choice("library:read", "See the library", true),
                choice("media:read", "Play and download", false),
            ],
            ask_password: false,
            problems: Problems::default(),
        },
        new_token: None,
        signed_header: true,
    };
    let mut fresh = page();
    fresh.notice = Some(Notice::done("The token is made."));
    fresh.new_token = Some(NewToken {
        name: HOSTILE.to_owned(),
        secret: "usp_Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MGFiY2RlZmdoaWprbG1ub3A".to_owned(),
    });
    let mut bare = page();
    bare.shell.who = Some(Who { name: "bob".to_owned(), admin: false });
    bare.sessions.truncate(1);
    bare.signed_header = false;
    bare.tokens.clear();
    bare.token_form.scopes.clear();
    bare.problems = Problems::one("current", "That is not your present password.");
    bare.token_form.ask_password = true;
    bare.token_form.problems = Problems(vec![
        Problem { field: "confirm", text: "That is not your present password.".to_owned() },
        Problem { field: "name", text: "Give it a name.".to_owned() },
        Problem { field: "scopes", text: "Choose at least one thing it may use.".to_owned() },
        Problem { field: "expires_days", text: "Choose one of these.".to_owned() },
    ]);
    vec![sample("account", &page()), sample("account_new_token", &fresh), sample("account_problems", &bare)]
}

fn crumbs() -> Vec<Link> {
    vec![
        Link::new("Library", "/library"),
        Link::new("Films", href::library("Films", "")),
        Link::new(HOSTILE, href::library("Films", HOSTILE)),
    ]
}

fn entries() -> Vec<EntryLine> {
    let entry = |kind, name: &str, size: Option<&str>| EntryLine {
        kind,
        name: name.to_owned(),
        href: href::library("Films", name),
        size: size.map(str::to_owned),
        modified: Some(when("Nov 20, 2026")),
        place: None,
    };
    vec![
        entry(EntryKind::Folder, "Season 1", None),
        entry(EntryKind::Folder, "Season 2", None),
        entry(
            EntryKind::Video,
            "The long and winding name of a film that nobody ever shortened, restored edition (1962) [1080p].mkv",
            Some("4.2 GB"),
        ),
        entry(EntryKind::Video, "Night train.webm", Some("812 MB")),
        entry(EntryKind::Audio, "Overture.ogg", Some("6.1 MB")),
        entry(EntryKind::Picture, "Poster.jpg", Some("340 KB")),
        entry(EntryKind::Text, "Notes.txt", Some("2 KB")),
        entry(EntryKind::Other, HOSTILE, Some("17 bytes")),
    ]
}

fn file(name: &str, kind: EntryKind, viewer: Viewer) -> FilePage {
    FilePage {
        shell: admin_at(Nav::Library),
        name: name.to_owned(),
        kind,
        crumbs: crumbs(),
        size: "812 MB".to_owned(),
        modified: when("Nov 20, 2026"),
        viewer,
        url: "http://nas.home.arpa:8080/m/AbCdEfGhIjKlMnOpQrStUvWxYz0123456789/Films/Night%20train.webm".to_owned(),
        playlist: "/playlist/Films/Night%20train.webm".to_owned(),
        download: "/m/AbCdEf/Films/Night%20train.webm".to_owned(),
        previous: Some(Link::new("Matinee.webm", "/library/Films/Matinee.webm")),
        next: Some(Link::new(HOSTILE, href::library("Films", HOSTILE))),
    }
}

fn play(video: bool, trouble: Option<&str>) -> Viewer {
    Viewer::Play(Playback {
        video,
        src: if video { "/sample.webm" } else { "/sample.ogg" }.to_owned(),
        mime: if video { "video/webm; codecs=\"vp8\"" } else { "audio/ogg" }.to_owned(),
        renew: "/library/renew/0193".to_owned(),
        key: "k3".to_owned(),
        trouble: trouble.map(|what| Trouble { what: what.to_owned() }),
    })
}

fn library() -> Vec<Sample> {
    let bucket = |name: &str, detail: &str| BucketCard {
        name: name.to_owned(),
        href: href::library(name, ""),
        detail: detail.to_owned(),
    };
    let folder = |query: &str, entries| FolderPage {
        shell: shell(Nav::Library, Some(("bob", false))),
        name: "The Lighthouse Keepers".to_owned(),
        crumbs: crumbs(),
        href: "/library/Films/The%20Lighthouse%20Keepers".to_owned(),
        query: query.to_owned(),
        entries,
        next: None,
        first: None,
        notice: None,
    };
    let mut paged = folder("", entries());
    (paged.next, paged.first) = (Some("?after=x".to_owned()), Some("/library/Films".to_owned()));
    let mut found = folder(HOSTILE, entries());
    for entry in &mut found.entries {
        entry.place = Some("Films / The Lighthouse Keepers".to_owned());
    }
    found.notice = Some(Notice::info("Only the first 1,000 matches are shown."));
    let mut alone = file(
        "Notes.txt",
        EntryKind::Text,
        Viewer::Text { text: format!("Line one\n\n  {HOSTILE}\n{}", "A long line of text. ".repeat(40)), cut: true },
    );
    (alone.previous, alone.next) = (None, None);
    vec![
        sample(
            "library",
            &LibraryPage {
                shell: admin_at(Nav::Library),
                notice: None,
                buckets: vec![
                    bucket("Films", "Local folder"),
                    bucket("Music", "Local folder"),
                    bucket(HOSTILE, "Not reachable at the moment"),
                ],
            },
        ),
        sample(
            "library_empty",
            &LibraryPage {
                shell: admin_at(Nav::Library),
                notice: Some(Notice::failed("That bucket is gone.")),
                buckets: Vec::new(),
            },
        ),
        sample("folder", &paged),
        sample("folder_empty", &folder("", Vec::new())),
        sample("folder_found", &found),
        sample("folder_not_found", &folder("lihgthouse", Vec::new())),
        sample("file_video", &file("Night train.webm", EntryKind::Video, play(true, None))),
        sample(
            "file_video_doubt",
            &file(
                "Night train.mkv",
                EntryKind::Video,
                play(true, Some("a Matroska (.mkv) file with HEVC video and AC-3 sound")),
            ),
        ),
        sample("file_audio", &file("Overture.ogg", EntryKind::Audio, play(false, None))),
        sample(
            "file_cannot_play",
            &file(
                "Night train.avi",
                EntryKind::Video,
                Viewer::CannotPlay(Trouble { what: "an AVI file with DivX video".to_owned() }),
            ),
        ),
        sample(
            "file_picture",
            &file("Poster.jpg", EntryKind::Picture, Viewer::Picture { src: "/sample.png".to_owned() }),
        ),
        sample("file_text", &alone),
        sample("file_other", &file(HOSTILE, EntryKind::Other, Viewer::Nothing)),
    ]
}

fn buckets() -> Vec<Choice> {
    vec![
        choice("*", "All buckets, later ones too", false),
        choice("Films", "Films", true),
        choice("Music", "Music", false),
        choice(HOSTILE, HOSTILE, false),
    ]
}

fn admin() -> Vec<Sample> {
    let line = |id: &str, username: &str, admin, disabled, must_change| AccountLine {
        id: id.to_owned(),
        username: username.to_owned(),
        admin,
        groups: if admin { Vec::new() } else { words(&["Family", "Film club"]) },
        buckets: if admin { words(&["All"]) } else { words(&["Films", "Music"]) },
        disabled,
        must_change,
        last_login: if must_change { None } else { Some(when("3 hours ago")) },
    };
    let accounts = |lines, problems| AccountsPage {
        shell: admin_at(Nav::Admin),
        notice: Some(Notice::done("The account “bob” is made.")),
        query: if problems { HOSTILE.to_owned() } else { String::new() },
        lines,
        next: Some("/admin/accounts?after=x".to_owned()),
        first: None,
        groups: if problems { Vec::new() } else { vec![choice("g1", "Family", false), choice("g2", HOSTILE, false)] },
        buckets: buckets(),
        form: NewAccountForm {
            username: String::new(),
            admin: problems,
            must_change: true,
            buckets: if problems { Vec::new() } else { buckets() },
            ask_password: problems,
            problems: if problems { Problems::one("username", "That name is taken.") } else { Problems::default() },
        },
        rule: RULE,
    };
    let edit = |own: bool| AccountEditPage {
        shell: admin_at(Nav::Admin),
        notice: None,
        id: "0193-b".to_owned(),
        username: HOSTILE.to_owned(),
        admin: own,
        disabled: !own,
        must_change: !own,
        created: when("Oct 1, 2026"),
        last_login: own.then(|| when("3 hours ago")),
        groups: if own { Vec::new() } else { vec![choice("g1", "Family", true), choice("g2", HOSTILE, false)] },
        buckets: buckets(),
        problems: if own { Problems::one("confirm", "Type the username exactly.") } else { Problems::default() },
        sessions: if own { sessions() } else { Vec::new() },
        guesses: own.then(|| Guesses {
            count: 7,
            last: when("2 minutes ago"),
            refused: Some("until Nov 23, 2026, 09:30 UTC".to_owned()),
        }),
        reset_link: (!own).then(|| NewLink {
            url: "http://localhost:8080/reset/usl_abcdefghijklmnopqrstuvwxyz".to_owned(),
            expires: when("in an hour"),
        }),
        totp: own.then(|| when("3 days ago")),
        passkeys: if own { 2 } else { 0 },
        codes_left: 7,
        factor_required: own,
        setup: own.then(security::setup),
        waiting: own,
        codes: if own { security::codes() } else { Vec::new() },
        recovery_link: own.then(|| NewLink {
            url: "http://localhost:8080/recover/usf_abcdefghijklmnopqrstuvwxyz".to_owned(),
            expires: when("in an hour"),
        }),
        own,
    };
    let group_line = |name: &str| GroupLine {
        id: "0193-g".to_owned(),
        name: name.to_owned(),
        members: 3,
        buckets: words(&["Films"]),
        declared: (name == HOSTILE).then(|| HOSTILE.to_owned()),
    };
    let groups = |lines| GroupsPage {
        shell: admin_at(Nav::Admin),
        notice: None,
        lines,
        name: String::new(),
        buckets: buckets(),
        problems: Problems::one("name", "Give it a name."),
    };
    let group = |members| GroupPage {
        shell: admin_at(Nav::Admin),
        notice: None,
        id: "0193-g".to_owned(),
        title: HOSTILE.to_owned(),
        name: "Family".to_owned(),
        buckets: buckets(),
        declared: Some(DeclaredBy { owner: HOSTILE.to_owned(), made: true }),
        members,
        factor_required: true,
        problems: Problems::one("username", "There is no such account."),
    };
    let member = |name: &str| Member { id: "0193-m".to_owned(), username: name.to_owned(), declared: true };
    let invite = |state| InviteLine {
        id: "0193-i".to_owned(),
        note: HOSTILE.to_owned(),
        made_by: HOSTILE.to_owned(),
        created: when("yesterday"),
        state,
        groups: words(&["Family"]),
        buckets: words(&["Films", "Music"]),
    };
    let invites = |lines, new_link| InvitesPage {
        shell: admin_at(Nav::Admin),
        notice: None,
        off: Some("Sign-up is off, so invite links do not work. Set signup = \"invite\" to use them.".to_owned()),
        groups: vec![choice("g1", "Family", false)],
        buckets: buckets(),
        lines,
        new_link,
    };
    let audit_line = |who: &str, result, why: &str| AuditLine {
        when: when("Nov 23, 2026, 09:30:00"),
        who: who.to_owned(),
        what: "Login".to_owned(),
        target: "Session 0193-a".to_owned(),
        address: "2001:db8:85a3:8d3:1319:8a2e:370:7348".to_owned(),
        result,
        why: why.to_owned(),
    };
    let audit = |lines, problems| AuditPage {
        shell: admin_at(Nav::Admin),
        problems,
        events: vec![choice("login", "Login", true), choice("logout", "Logout", false)],
        account: HOSTILE.to_owned(),
        since: "2026-11-01".to_owned(),
        lines,
        csv: "/api/v1/audit/export?format=csv".to_owned(),
        jsonl: "/api/v1/audit/export?format=jsonl".to_owned(),
        next: Some("/admin/audit?after=x".to_owned()),
        first: Some("/admin/audit".to_owned()),
    };
    let two = Problems(vec![
        Problem { field: "since", text: "Write the date as 2026-11-23.".to_owned() },
        Problem { field: "account", text: "There is no such account.".to_owned() },
    ]);
    vec![
        sample(
            "admin_accounts",
            &accounts(
                vec![
                    line("a", "alice", true, false, false),
                    line("b", "bob", false, false, true),
                    line("c", HOSTILE, false, true, false),
                ],
                false,
            ),
        ),
        sample("admin_accounts_none", &accounts(Vec::new(), true)),
        sample(
            "admin_confirm",
            &ConfirmPage {
                shell: admin_at(Nav::Admin),
                username: HOSTILE.to_owned(),
                action: "/admin/accounts/0193-b/delete".to_owned(),
                fields: vec![("confirm".to_owned(), HOSTILE.to_owned()), ("role".to_owned(), "admin".to_owned())],
                problems: Problems::one("own_password", "That is not your present password."),
            },
        ),
        sample("admin_account", &edit(false)),
        sample("admin_account_own", &edit(true)),
        sample("admin_groups", &groups(vec![group_line("Family"), group_line(HOSTILE)])),
        sample("admin_groups_none", &groups(Vec::new())),
        sample("admin_group", &group(vec![member("bob"), member(HOSTILE)])),
        sample("admin_group_empty", &group(Vec::new())),
        sample(
            "admin_invites",
            &invites(
                vec![
                    invite(InviteState::Open { until: when("in 7 days") }),
                    invite(InviteState::Used { by: HOSTILE.to_owned(), at: when("yesterday") }),
                    invite(InviteState::Expired { at: when("last week") }),
                    invite(InviteState::Revoked { at: when("last week") }),
                ],
                Some(NewLink {
                    url: "http://localhost:8080/invite/usl_abcdefghijklmnopqrstuvwxyz".to_owned(),
                    expires: when("in 7 days"),
                }),
            ),
        ),
        sample("admin_invites_none", &invites(Vec::new(), None)),
        sample(
            "admin_audit",
            &audit(
                vec![
                    audit_line("alice", AuditResult::Done, ""),
                    audit_line(HOSTILE, AuditResult::Refused, "wrong password"),
                    audit_line("bob", AuditResult::Failed, "storage"),
                ],
                Problems::default(),
            ),
        ),
        sample("admin_audit_none", &audit(Vec::new(), two)),
    ]
}

fn wrong() -> Vec<Sample> {
    let page = |wrong, shell| ErrorPage::of(wrong, shell, "0193-req");
    vec![
        sample("error_400", &page(Wrong::Unreadable, outside())),
        sample("error_403", &page(Wrong::Forbidden, admin_at(Nav::Elsewhere))),
        sample("error_403_stale", &page(Wrong::StaleForm, admin_at(Nav::Elsewhere))),
        sample("error_404", &page(Wrong::NotFound, admin_at(Nav::Elsewhere))),
        sample("error_405", &page(Wrong::Method, outside())),
        sample("error_410", &page(Wrong::Gone, outside())),
        sample("error_413", &page(Wrong::TooLarge, outside())),
        sample("error_429", &page(Wrong::TooMany { seconds: 300 }, outside())),
        sample("error_500", &page(Wrong::Ours, outside())),
        sample("error_503", &page(Wrong::Unavailable, outside())),
    ]
}
