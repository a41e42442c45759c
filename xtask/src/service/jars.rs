//! Kafka's jars, its console tools among them: those of `KAFKA_HOME`, or Maven Central's, fetched once into the user's cache.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

/// The release that the tests run against.
pub(crate) const VERSION: &str = "4.3.1";
/// What it runs on.
const JAVA: u32 = 17;
/// Copies a project's dependencies into a folder.
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";
const LOG4J: &str = "2.24.3";

/// The Java class path of a broker, once Java was seen to be new enough.
pub(super) fn class_path() -> anyhow::Result<String> {
    check_java()?;
    let libs = match env::var_os("KAFKA_HOME") {
        Some(home) => PathBuf::from(home).join("libs"),
        None => cached()?,
    };
    ensure!(is_whole(&libs), "no kafka_*.jar or kafka-tools-*.jar in {}; KAFKA_HOME has to name an unpacked Kafka", libs.display());
    Ok(libs.join("*").to_string_lossy().into_owned())
}

fn check_java() -> anyhow::Result<()> {
    let need = || format!("Kafka needs Java {JAVA} or later: apt-get install default-jre-headless");
    let output = Command::new("java").arg("-version").output().with_context(need)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match java_version(&said) {
        Some(version) if version >= JAVA => Ok(()),
        Some(version) => bail!("this is Java {version}. {}", need()),
        None => bail!("`java -version` said {said:?}. {}", need()),
    }
}

/// The major version in what `java -version` says: `openjdk version "17.0.15" 2025-04-15`.
fn java_version(said: &str) -> Option<u32> {
    let number = said.split_once("version \"")?.1;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Whether a broker and the console tools are there.
fn is_whole(libs: &Path) -> bool {
    let entries = std::fs::read_dir(libs).into_iter().flatten().flatten();
    let names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| name.ends_with(".jar")).collect();
    // Beside the tools there is a jar of their interface, kafka-tools-api.
    let is_tools = |name: &String| name.strip_prefix("kafka-tools-").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    names.iter().any(|name| name.starts_with("kafka_2.")) && names.iter().any(is_tools)
}

/// Fetches the jars if the cache has none.
fn cached() -> anyhow::Result<PathBuf> {
    let cache = super::cache()?.join(format!("kafka-{VERSION}-tools"));
    let libs = cache.join("libs");
    if is_whole(&libs) {
        return Ok(libs);
    }
    // Fetched aside and moved in whole, so that an interrupted run leaves no half of it.
    let aside = cache.join(format!("fetch-{}", std::process::id()));
    std::fs::create_dir_all(&aside).with_context(|| format!("creating {}", aside.display()))?;
    let fetched = fetch(&aside).and_then(|()| match std::fs::rename(aside.join("libs"), &libs) {
        Err(error) if !is_whole(&libs) => Err(error).with_context(|| format!("moving the jars to {}", libs.display())),
        _ => Ok(()),
    });
    // The pom; and the jars, where somebody else was quicker.
    drop(std::fs::remove_dir_all(&aside));
    fetched.map(|()| libs)
}

fn fetch(dir: &Path) -> anyhow::Result<()> {
    eprintln!("fetching Kafka {VERSION} with mvn (once, about 55 MB)");
    std::fs::write(dir.join("pom.xml"), pom()).context("writing the pom")?;
    let mut mvn = Command::new("mvn");
    mvn.args(["-q", "-B", COPY, "-DincludeScope=runtime", "-DoutputDirectory=libs"]).current_dir(dir);
    let output = mvn.output().context("Kafka's jars are fetched with Maven: apt-get install maven, or set KAFKA_HOME")?;
    if !output.status.success() {
        bail!("mvn failed: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

fn pom() -> String {
    let wanted = [
        ("org.apache.kafka", "kafka_2.13", VERSION),
        ("org.apache.kafka", "kafka-tools", VERSION),
        ("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J),
        ("org.apache.logging.log4j", "log4j-core", LOG4J),
    ];
    let dependency = |(group, name, version): (&str, &str, &str)| {
        format!("<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency>\n")
    };
    let dependencies: String = wanted.into_iter().map(dependency).collect();
    format!(
        "<project><modelVersion>4.0.0</modelVersion><groupId>pledger</groupId><artifactId>test-kafka</artifactId><version>1</version>\n\
         <dependencies>\n{dependencies}</dependencies></project>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn javas_version_is_read_as_every_vendor_writes_it() {
        for (said, version) in [
            ("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime ...", Some(17)),
            ("java version \"1.8.0_202\"\n", Some(1)),
            ("openjdk version \"21\" 2023-09-19", Some(21)),
            ("openjdk version \"25-ea\" 2025-09-16", Some(25)),
            ("The operation couldn't be completed.", None),
        ] {
            assert_eq!(java_version(said), version, "{said}");
        }
    }
}
