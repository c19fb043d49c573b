//! The policy of one start, `VKERNEL_POLICY`: what the image's own allows, or less.
//!
//! `KEY=VALUE` with the keys of a recipe's `[policy]`, separated by `;`; lists are separated by `,`.
//! Invariant: nothing that is written there allows what the signed policy does not.

use megabinary_format::{Limit, NetworkRule, Policy, is_absolute};

/// Takes from a policy what the text does not allow. Else what is wrong with the text, for people.
pub fn narrow(policy: &mut Policy, text: &str) -> Result<(), String> {
    for setting in text.split(';').map(str::trim).filter(|s| !s.is_empty()) {
        apply(policy, setting).map_err(|problem| {
            format!(
                "VKERNEL_POLICY has `{setting}`: {problem}; settings are KEY=VALUE, separated by \
                 `;`, with the keys of a recipe's [policy]"
            )
        })?;
    }
    Ok(())
}

/// What is wrong, for people.
type Problem = String;

fn apply(policy: &mut Policy, setting: &str) -> Result<(), Problem> {
    let (key, value) = setting.split_once('=').ok_or("it has no `=`")?;
    if let Some(limit) = Limit::of_key(key) {
        let value = limit
            .parse(value)
            .map_err(|wanted| format!("the value is not {wanted}"))?;
        policy.limits.lower(limit, value);
        return Ok(());
    }
    match key {
        "read-only-root" if value == "true" => policy.read_only_root = true,
        "read-only-root" => return Err("it can only be `true`".into()),
        "read-only" => paths(&mut policy.read_only, value, true)?,
        "hidden" => paths(&mut policy.hidden, value, false)?,
        "network" => network(policy, value)?,
        _ => return Err(format!("there is no key `{key}`")),
    }
    Ok(())
}

fn paths(list: &mut Vec<String>, value: &str, root: bool) -> Result<(), Problem> {
    for path in value.split(',') {
        if !(is_absolute(path) || root && path == "/") {
            return Err(format!("`{path}` is not an absolute path"));
        }
        if !list.iter().any(|known| known == path) {
            list.push(path.to_owned());
        }
    }
    Ok(())
}

fn network(policy: &mut Policy, value: &str) -> Result<(), Problem> {
    let rules = match value {
        "all" => return Ok(()),
        "none" => Vec::new(),
        "loopback" => NetworkRule::loopback(),
        list => list
            .split(',')
            .map(|rule| rule.parse().map_err(|e| format!("`{rule}`: {e}")))
            .collect::<Result<_, _>>()?,
    };
    policy.network = Some(match &policy.network {
        Some(now) => NetworkRule::both(now, &rules),
        None => rules,
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use megabinary_format::Limits;

    use super::*;

    fn narrowed(policy: Policy, text: &str) -> Result<Policy, String> {
        let mut policy = policy;
        narrow(&mut policy, text).map(|()| policy)
    }

    #[test]
    fn only_less_is_allowed() {
        let signed = Policy {
            limits: Limits::default()
                .with(Limit::Memory, 1 << 20)
                .with(Limit::Threads, 3),
            network: Some(NetworkRule::loopback()),
            hidden: vec!["/a".into()],
            ..Policy::default()
        };
        let text = "memory-max=1GiB; threads-max=2;network=127.0.0.0/8:80,10.0.0.0/8;hidden=/b,/a;\
                    cpu-time-max=2s;read-only-root=true";
        let got = narrowed(signed.clone(), text).unwrap();
        let expected = Policy {
            limits: Limits::default()
                .with(Limit::Memory, 1 << 20)
                .with(Limit::Threads, 2)
                .with(Limit::CpuTime, 2000),
            network: Some(vec!["127.0.0.0/8:80".parse().unwrap()]),
            hidden: vec!["/a".into(), "/b".into()],
            read_only_root: true,
            ..signed.clone()
        };
        assert_eq!(got, expected);
        assert_eq!(narrowed(signed.clone(), "network=all").unwrap(), signed);
        let none = narrowed(signed, "network=none").unwrap();
        assert_eq!(none.network, Some(Vec::new()));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for text in [
            "memory",
            "memory-max=1",
            "memory-max=1KiB",
            "threads-max=0",
            "read-only-root=false",
            "hidden=a",
            "network=example.org:80",
            "netwrk=none",
        ] {
            let error = narrowed(Policy::default(), text).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }
}
