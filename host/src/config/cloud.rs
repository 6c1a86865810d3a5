//! Microsoft's clouds, as far as the host must know them: where Graph is, and whom federated tokens are for (facts: national
//! cloud deployments, workload identity federation). The login host is the component's to compare with `base_url`.

/// What one setting fixes together: tokens of one cloud aren't good in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cloud {
    /// Microsoft Graph's origin.
    pub(super) graph: &'static str,
    /// The `aud` of a federated token.
    pub(super) federated_audience: &'static str,
}

/// The cloud of that name. `None`: `custom`, which names its addresses, or a name that the component refuses.
pub(super) fn cloud(name: Option<&str>) -> Option<Cloud> {
    let (graph, federated_audience) = match name.unwrap_or("global") {
        "global" => ("https://graph.microsoft.com", "api://AzureADTokenExchange"),
        "us-gov" => ("https://graph.microsoft.us", "api://AzureADTokenExchangeUSGov"),
        "us-gov-dod" => ("https://dod-graph.microsoft.us", "api://AzureADTokenExchangeUSGov"),
        "china" => ("https://microsoftgraph.chinacloudapi.cn", "api://AzureADTokenExchangeChina"),
        _ => return None,
    };
    Some(Cloud { graph, federated_audience })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cloud_has_its_own_audience_and_graph() {
        for (name, graph, audience) in [
            (None, "graph.microsoft.com", "api://AzureADTokenExchange"),
            (Some("global"), "graph.microsoft.com", "api://AzureADTokenExchange"),
            (Some("us-gov"), "graph.microsoft.us", "api://AzureADTokenExchangeUSGov"),
            (Some("us-gov-dod"), "dod-graph.microsoft.us", "api://AzureADTokenExchangeUSGov"),
            (Some("china"), "microsoftgraph.chinacloudapi.cn", "api://AzureADTokenExchangeChina"),
        ] {
            let found = cloud(name).unwrap();
            assert_eq!(
                (found.graph, found.federated_audience),
                (format!("https://{graph}").as_str(), audience),
                "{name:?}"
            );
        }
        assert_eq!((cloud(Some("custom")), cloud(Some("germany"))), (None, None));
    }
}
