//! What every page has: the frame around it, and the small parts that pages share.

/// The frame: header, navigation, banner.
#[derive(Debug, Clone)]
pub struct Shell {
    /// The service's name, as configured.
    pub service: String,
    /// Who is logged in; `None` shows no navigation.
    pub who: Option<Who>,
    /// A warning above everything, such as plain HTTP on a home network.
    pub banner: Option<String>,
    /// The entry of the navigation that is marked as the present one.
    pub page: Nav,
    /// On a television: gone about with arrow keys.
    pub tv: bool,
}

impl Shell {
    /// Whether the page is shown to an admin.
    pub fn for_admin(&self) -> bool {
        self.who.as_ref().is_some_and(|who| who.admin)
    }
}

/// The person at the page.
#[derive(Debug, Clone)]
pub struct Who {
    pub name: String,
    /// Shows the way to the administration. What an admin may do is decided by the gate, not here.
    pub admin: bool,
}

/// Where in the house a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nav {
    Library,
    Account,
    Admin,
    Elsewhere,
}

/// An instant in words, and the same for machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct When {
    /// For people: "3 minutes ago", "Nov 23, 2026, 14:05 UTC".
    pub text: String,
    /// RFC 3339.
    pub iso: String,
}

/// The outcome of what was just done, or something to know first.
#[derive(Debug, Clone)]
pub struct Notice {
    pub kind: NoticeKind,
    pub text: String,
}

/// How a notice is colored, and whether a screen reader interrupts for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    Done,
    Failed,
    Info,
}

impl Notice {
    /// It worked.
    pub fn done(text: impl Into<String>) -> Notice {
        Notice { kind: NoticeKind::Done, text: text.into() }
    }

    /// It did not work.
    pub fn failed(text: impl Into<String>) -> Notice {
        Notice { kind: NoticeKind::Failed, text: text.into() }
    }

    /// Something to know.
    pub fn info(text: impl Into<String>) -> Notice {
        Notice { kind: NoticeKind::Info, text: text.into() }
    }
}

/// What is wrong with a form that was sent: shown in full sentences, above the form and at the fields.
#[derive(Debug, Clone, Default)]
pub struct Problems(pub Vec<Problem>);

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The `name` of the field it is about, or `""` when it is about the form as a whole.
    pub field: &'static str,
    pub text: String,
}

impl Problems {
    /// One problem with the field `field` (`""`: with the form).
    pub fn one(field: &'static str, text: impl Into<String>) -> Problems {
        Problems(vec![Problem { field, text: text.into() }])
    }

    /// The first problem with this field.
    pub fn on(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|problem| problem.field == field).map(|problem| problem.text.as_str())
    }

    /// The first problem with the form as a whole.
    pub fn whole(&self) -> Option<&str> {
        self.on("")
    }
}

/// A checkbox or an option of a list.
#[derive(Debug, Clone)]
pub struct Choice {
    /// What is sent.
    pub value: String,
    /// What is read.
    pub label: String,
    pub chosen: bool,
}

/// A way on.
#[derive(Debug, Clone)]
pub struct Link {
    pub text: String,
    pub href: String,
}

impl Link {
    pub fn new(text: impl Into<String>, href: impl Into<String>) -> Link {
        Link { text: text.into(), href: href.into() }
    }
}

/// What a new password must be, for the hint under its field.
#[derive(Debug, Clone, Copy)]
pub struct PasswordRule {
    /// The shortest length accepted, in code points.
    pub at_least: u32,
}
