//! Instances, and who may use them.

use crate::application::access;
use crate::application::delivery::admission::Admission;
use crate::application::gateway::Access;
use crate::application::gateway::Instances;
use crate::application::gateway::Ports;
use crate::application::gateway::Settings;
use crate::application::gateway::issue_api_key;
use crate::application::instances;
use crate::application::node::this_node::ThisNode;

impl Ports {
    pub(in crate::application::gateway) fn instances(
        &self,
        node: &ThisNode,
        settings: &Settings,
        admission: &Admission,
    ) -> Instances {
        Instances {
            check_credentials: instances::CheckCredentials {
                instances: self.stores.instances.clone(),
                cipher: self.cipher.clone(),
            },
            create: self.create_instance(node),
            connect: self.connect_instance(settings),
            read: instances::ReadInstances {
                instances: self.stores.instances.clone(),
                channels: self.channels.clone(),
            },
            update: instances::UpdateInstance {
                instances: self.stores.instances.clone(),
                channels: self.channels.clone(),
                cipher: self.cipher.clone(),
                clock: self.clock.clone(),
                tenants: node.tenants.clone(),
                admission: admission.clone(),
            },
            delete: instances::DeleteInstance { instances: self.stores.instances.clone(), clock: self.clock.clone() },
        }
    }

    pub(in crate::application::gateway) fn event_secrets(&self, settings: &Settings) -> instances::EventSecrets {
        instances::EventSecrets {
            instances: self.stores.instances.clone(),
            cipher: self.cipher.clone(),
            clock: self.clock.clone(),
            overlap: settings.secret_overlap,
        }
    }

    pub(in crate::application::gateway) fn connect_instance(&self, settings: &Settings) -> instances::ConnectInstance {
        instances::ConnectInstance {
            instances: self.stores.instances.clone(),
            channels: self.channels.clone(),
            cipher: self.cipher.clone(),
            clock: self.clock.clone(),
            public_url: settings.public_url.clone(),
            secrets: self.event_secrets(settings),
        }
    }

    pub(in crate::application::gateway) fn create_instance(&self, node: &ThisNode) -> instances::CreateInstance {
        instances::CreateInstance {
            instances: self.stores.instances.clone(),
            channels: self.channels.clone(),
            cipher: self.cipher.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            tenants: node.tenants.clone(),
        }
    }

    pub(in crate::application::gateway) fn access(&self, settings: &Settings) -> Access {
        Access {
            authenticate: access::Authenticate {
                api_keys: self.stores.api_keys.clone(),
                tokens: self.tokens.clone(),
                users: self.stores.users.clone(),
                clock: self.clock.clone(),
            },
            issue_api_key: issue_api_key(&self.stores, self.clock.clone(), self.ids.clone()),
            sign_in: access::SignIn {
                users: self.stores.users.clone(),
                failures: self.stores.sign_in_failures.clone(),
                passwords: self.passwords.clone(),
                tokens: self.token_issuer.clone(),
                clock: self.clock.clone(),
                token_lives: settings.sign_in_ttl,
            },
            limit_requests: access::LimitRequests::new(
                self.stores.request_allowances.clone(),
                self.clock.clone(),
                settings.request_limits,
            ),
        }
    }
}
