//! Data forms (XEP-0004), as far as rooms need them.

use xml::Tree;

use crate::names::FORMS;

/// A form that is being written.
pub(crate) struct Form(Tree);

impl Form {
    /// An empty form of this kind (`form`, `result`, `submit`) for this purpose.
    pub(crate) fn new(kind: &str, form_type: &str) -> Form {
        let purpose = Tree::new("field", FORMS)
            .attr("var", "FORM_TYPE")
            .attr("type", "hidden")
            .child(value(form_type));
        Form(Tree::new("x", FORMS).attr("type", kind).child(purpose))
    }

    /// What stands above the fields.
    pub(crate) fn title(mut self, title: &str) -> Form {
        self.0 = self.0.child(Tree::new("title", FORMS).text(title));
        self
    }

    /// A field of any type with its values; the label is left out when it is empty.
    pub(crate) fn field(mut self, kind: &str, var: &str, label: &str, values: &[&str]) -> Form {
        self.0 = self.0.child(field(kind, var, label, values));
        self
    }

    /// A field that must be filled in.
    pub(crate) fn required(mut self, kind: &str, var: &str, label: &str) -> Form {
        self.0 = self
            .0
            .child(field(kind, var, label, &[]).child(Tree::new("required", FORMS)));
        self
    }

    /// A field that is true or false.
    pub(crate) fn truth(self, var: &str, label: &str, truth: bool) -> Form {
        self.field("boolean", var, label, &[if truth { "1" } else { "0" }])
    }

    /// A field with a choice of values, each with what people read.
    pub(crate) fn choice(
        mut self,
        kind: &str,
        var: &str,
        label: &str,
        options: &[(&str, &str)],
        chosen: &[&str],
    ) -> Form {
        let mut field = field(kind, var, label, chosen);
        for (option, words) in options {
            field = field.child(
                Tree::new("option", FORMS)
                    .attr("label", *words)
                    .child(value(option)),
            );
        }
        self.0 = self.0.child(field);
        self
    }

    /// The form.
    pub(crate) fn into_tree(self) -> Tree {
        self.0
    }
}

fn field(kind: &str, var: &str, label: &str, values: &[&str]) -> Tree {
    let mut field = Tree::new("field", FORMS).attr("var", var).attr("type", kind);
    if !label.is_empty() {
        field = field.attr("label", label);
    }
    for text in values {
        field = field.child(value(text));
    }
    field
}

fn value(text: &str) -> Tree {
    Tree::new("value", FORMS).text(text)
}

/// A form that somebody has filled in.
pub(crate) struct Submission<'a>(&'a Tree);

impl<'a> Submission<'a> {
    /// The form in `payload`, if it is submitted. `None` when there is none, or when it was cancelled.
    pub(crate) fn of(payload: &'a Tree) -> Option<Submission<'a>> {
        let form = payload.find(FORMS, "x")?;
        (form.attribute("type") == Some("submit")).then_some(Submission(form))
    }

    /// The form itself.
    pub(crate) fn from_form(form: &'a Tree) -> Submission<'a> {
        Submission(form)
    }

    /// Whether nothing is filled in: what stands in the form is left to the service.
    pub(crate) fn is_empty(&self) -> bool {
        !self.fields().any(|(var, _)| var != "FORM_TYPE")
    }

    /// What it is for.
    pub(crate) fn form_type(&self) -> Option<String> {
        self.value("FORM_TYPE")
    }

    /// The fields with all their values.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'a str, Vec<String>)> {
        self.0
            .children()
            .filter(|child| child.is(FORMS, "field"))
            .filter_map(|field| {
                let values = field
                    .children()
                    .filter(|child| child.is(FORMS, "value"))
                    .map(|value| value.content().into_owned())
                    .collect();
                Some((field.attribute("var")?, values))
            })
    }

    /// The first value of a field.
    pub(crate) fn value(&self, var: &str) -> Option<String> {
        self.fields()
            .find(|(known, _)| *known == var)
            .and_then(|(_, values)| values.into_iter().next())
    }
}

/// `xs:boolean` as forms write it (XEP-0004 §3.3).
pub(crate) fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

/// Whether a request holds a form that was cancelled (XEP-0004 §3.1).
pub(crate) fn is_cancelled(payload: &Tree) -> bool {
    payload
        .find(FORMS, "x")
        .is_some_and(|form| form.attribute("type") == Some("cancel"))
}
