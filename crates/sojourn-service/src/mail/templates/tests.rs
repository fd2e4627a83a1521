use super::*;

fn files(given: &[(&str, &str)]) -> Vec<(String, String)> {
    given.iter().map(|(file, source)| ((*file).to_owned(), (*source).to_owned())).collect()
}

fn refused(given: &[(&str, &str)]) -> TemplateFault {
    Templates::with(&files(given)).expect_err("refused")
}

#[test]
fn every_mail_is_complete_in_both_languages() {
    let templates = Templates::default();
    for template in Template::ALL {
        for locale in ["en", "de"] {
            for mut sample in template.samples() {
                sample.insert("locale".to_owned(), locale.into());
                let mail = render(&templates.current, *template, locale, &sample);
                let mail = mail.unwrap_or_else(|error| panic!("{}: {error}", template.slug()));
                // What texts branch on is not shown.
                let branches = ["purpose", "reason"];
                let html = mail.html.replace("&#x2f;", "/");
                for name in template.own_variables().iter().filter(|name| !branches.contains(name)) {
                    let value =
                        sample[*name].as_str().map_or_else(|| sample[*name].to_string(), str::to_owned);
                    assert!(mail.text.contains(&value), "{name} in {}", mail.text);
                    assert!(html.contains(&value), "{name} in {}", mail.html);
                }
                assert!(mail.html.contains(&format!("<html lang=\"{locale}\">")), "{}", mail.html);
                assert!(!mail.text.starts_with('\n') && !mail.text.contains("\n\n\n"), "{}", mail.text);
                // Nothing is loaded from anywhere, and nothing tells that a mail was read.
                for loads in ["<img", "src=", "url(", "<script", "@import", "<link"] {
                    assert!(!mail.html.contains(loads), "{loads} in {}", mail.html);
                }
            }
        }
    }
}

#[test]
fn values_are_escaped_in_html_and_only_there() {
    let mut sample = Template::Test.samples().remove(0);
    sample.insert("application_name".to_owned(), "<b>A & B</b>".into());
    let mail = Templates::default().render(Template::Test, "en", &sample).expect("a mail");
    assert!(mail.html.contains("&lt;b&gt;A &amp; B") && !mail.html.contains("<b>A"), "{}", mail.html);
    assert!(mail.text.contains("<b>A & B</b>"));
}

#[test]
fn aut_16_a_subject_is_one_line_whatever_it_holds() {
    let mut sample = Template::Test.samples().remove(0);
    sample.insert("application_name".to_owned(), "A\r\nBcc: eve@example.com\u{7f}".into());
    let mail = Templates::default().render(Template::Test, "en", &sample).expect("a mail");
    assert!(!mail.subject.contains(char::is_control), "{:?}", mail.subject);
}

#[test]
fn an_unknown_variable_is_told_with_its_line() {
    let fault = refused(&[("verification_code.de.txt", "Subject: Hallo\n\nCode:\n{{ kode }}\n")]);
    assert_eq!((fault.file.as_str(), fault.line), ("verification_code.de.txt", Some(4)));
    assert!(fault.reason.contains("kode") && fault.remedy.contains("did you mean code?"), "{fault:?}");
    let fault = refused(&[("layout.html", "<p>{{ code }}</p>{% block body %}{% endblock %}")]);
    assert!(fault.reason.contains("code is not a variable"), "{fault:?}");
}

#[test]
fn a_broken_template_is_told_with_its_line() {
    let fault = refused(&[("test.en.html", "<p>\n{% if %}\n</p>")]);
    assert_eq!(fault.line, Some(2), "{fault:?}");
    let fault = refused(&[("test.en.html", "<p>\n\n{{ locale.a.b }}</p>")]);
    assert_eq!((fault.file.as_str(), fault.line), ("test.en.html", Some(3)), "{fault:?}");
    let fault = refused(&[("test.en.txt", "Hello")]);
    assert!(fault.reason.contains("Subject:"), "{fault:?}");
}

#[test]
fn a_template_reads_no_files_and_comes_to_an_end() {
    for source in [
        "{% include '/etc/passwd' %}",
        "{% extends '../layout.html' %}",
        "{% for a in range(9999) %}{% for b in range(9999) %}{{ b }}{% endfor %}{% endfor %}",
    ] {
        let fault = refused(&[("test.en.html", source)]);
        assert_eq!(fault.file, "test.en.html", "{fault:?}");
    }
}

#[test]
fn a_file_that_is_no_template_is_told() {
    assert!(refused(&[("verfication_code.en.txt", "Subject: A")]).remedy.contains("verification_code"));
    assert!(refused(&[("test.EN.txt", "Subject: A")]).remedy.contains("small letters"));
    assert!(refused(&[("test.fr.txt", "Subject: A")]).reason.contains("test.fr.html is missing"));
}

#[test]
fn an_operator_may_add_a_language() {
    let given = files(&[("test.fr.txt", "Subject: Essai\n\nOui"), ("test.fr.html", "<p>Oui</p>")]);
    let templates = Templates::with(&given).expect("templates");
    let wanted = ["fr-ca".to_owned()];
    assert_eq!(templates.choose(Template::Test, &wanted, "de"), "fr");
    assert_eq!(templates.choose(Template::NoAccount, &wanted, "de-at"), "de");
    assert_eq!(templates.choose(Template::NoAccount, &wanted, "../x"), "en");
    assert_eq!(templates.preview(Template::Test, "fr").expect("a mail").subject, "Essai");
}

#[test]
fn a_text_that_fails_later_is_replaced_by_ours() {
    let text = "Subject: Mine\n\n{% if not support_email %}{{ application_name.a.b }}{% endif %}";
    let templates = Templates::with(&files(&[("test.en.txt", text)])).expect("it works with the sample");
    let mut sample = Template::Test.samples().remove(0);
    assert_eq!(templates.render(Template::Test, "en", &sample).expect("a mail").subject, "Mine");
    sample.insert("support_email".to_owned(), serde_json::Value::Null);
    let mail = templates.render(Template::Test, "en", &sample).expect("a mail");
    assert_eq!(mail.subject, "Test mail from My application");
}
