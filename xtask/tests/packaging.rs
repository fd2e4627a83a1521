//! The files for systemd, containers and Kubernetes are well formed and fit each other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use yaml_rust2::{Yaml, YamlLoader};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Vec<Yaml> {
    YamlLoader::load_from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_units_of_systemd_are_accepted_by_systemd() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("systemd-analyze is not installed: the units are not checked");
        return;
    }
    let folder = tempfile::tempdir().expect("temporary folder");
    let units = [
        "sojourn.service",
        "sojourn.socket",
        "sojourn-tls.socket",
        "sojourn-backup.service",
        "sojourn-backup.timer",
    ];
    let copies = units.map(|unit| {
        // systemd asks whether the program is there, and the binary is not installed here.
        let unit_text = text(&format!("packaging/{unit}")).replace("/usr/local/bin/sojourn", "/bin/true");
        let copy = folder.path().join(unit);
        fs::write(&copy, unit_text).expect("written");
        copy
    });
    let verified = Command::new("systemd-analyze").arg("verify").args(copies).output().expect("ran");
    let complaints = String::from_utf8_lossy(&verified.stderr).into_owned();
    // Of units of the machine itself we know nothing.
    let ours: Vec<&str> = complaints.lines().filter(|line| line.contains("sojourn")).collect();
    assert_eq!(ours, Vec::<&str>::new());
}

#[test]
fn the_compose_file_runs_the_server_beside_postgresql() {
    let documents = yaml("compose.yaml");
    let services = &documents[0]["services"];
    let server = &services["sojourn"];
    assert_eq!(server["read_only"].as_bool(), Some(true));
    assert_eq!(server["build"].as_str(), Some("."));
    assert!(server["depends_on"]["postgres"]["condition"].as_str().is_some());
    assert!(services["postgres"]["healthcheck"]["test"].as_vec().is_some());
}

#[test]
fn the_manifests_of_kubernetes_fit_each_other() {
    let folder = root().join("deploy/kubernetes");
    let mut objects = Vec::new();
    for entry in fs::read_dir(&folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let relative = path.strip_prefix(root()).expect("inside").display().to_string();
            objects.extend(yaml(&relative));
        }
    }
    let one = |kind: &str| {
        let found: Vec<&Yaml> =
            objects.iter().filter(|object| object["kind"].as_str() == Some(kind)).collect();
        assert_eq!(found.len(), 1, "{kind}");
        found[0]
    };
    for object in &objects {
        assert!(object["apiVersion"].as_str().is_some(), "{object:?}");
        assert!(object["metadata"]["name"].as_str().is_some(), "{object:?}");
    }
    let deployment = one("Deployment");
    let pod = &deployment["spec"]["template"];
    let labels = &pod["metadata"]["labels"]["app"];
    assert_eq!(labels, &deployment["spec"]["selector"]["matchLabels"]["app"]);
    assert_eq!(labels, &one("Service")["spec"]["selector"]["app"]);
    assert_eq!(pod["spec"]["securityContext"]["runAsNonRoot"].as_bool(), Some(true));
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"].as_bool(), Some(true));
    assert_eq!(container["securityContext"]["allowPrivilegeEscalation"].as_bool(), Some(false));
    // Every volume that is mounted exists.
    let name_of = |item: &Yaml| item["name"].as_str().expect("a name").to_owned();
    let list = |items: &Yaml| items.as_vec().expect("a list").iter().map(name_of).collect::<Vec<_>>();
    let volumes = list(&pod["spec"]["volumes"]);
    assert!(list(&container["volumeMounts"]).iter().all(|mount| volumes.contains(mount)));
    // The port that the service leads to is one of the container.
    let target = &one("Service")["spec"]["ports"][0]["targetPort"];
    let ports = container["ports"].as_vec().expect("ports");
    assert!(ports.iter().any(|port| &port["name"] == target), "{target:?}");
    // The server drains for 25 seconds before Kubernetes kills it.
    assert!(pod["spec"]["terminationGracePeriodSeconds"].as_i64().is_some_and(|seconds| seconds > 30));
}

#[test]
fn the_image_runs_as_another_user_than_root_and_says_how_it_is() {
    let dockerfile = text("Dockerfile");
    let stages = dockerfile.lines().filter(|line| line.starts_with("FROM ")).count();
    assert!(stages >= 2, "the build stays out of the image");
    let last = dockerfile.rsplit("\nFROM ").next().expect("a last stage");
    for instruction in ["USER 10001", "HEALTHCHECK", "VOLUME", "ENTRYPOINT"] {
        assert!(last.lines().any(|line| line.starts_with(instruction)), "{instruction}");
    }
}
