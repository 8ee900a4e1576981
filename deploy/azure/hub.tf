# pldns in a hub network that exists: two virtual machines in two zones behind an
# internal load balancer, whose address is the DNS server for networks, VPN clients and
# conditional forwarders. The network itself is not touched but for a subnet of its own.
# hub.bicep is the same for Bicep.
terraform {
  required_version = ">= 1.5"
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 4.0"
    }
  }
}

# The subscription is that of ARM_SUBSCRIPTION_ID.
provider "azurerm" {
  features {}
}

variable "resource_group" {
  description = "Name of the resource group of the machines, which exists, in the region of the network."
  type        = string
}

variable "image" {
  description = "Full name of the image. A new image has a new name: one that a machine has is not pulled again."
  type        = string
}

variable "registry_id" {
  description = "Id of the Azure Container Registry that the image is pulled from as the identity of the machines; empty where nobody has to log in."
  type        = string
  default     = ""
}

variable "ssh_public_key" {
  description = "Public SSH key of the user azureuser."
  type        = string
}

variable "network_id" {
  description = "Id of the hub network, in any resource group of this subscription."
  type        = string
}

variable "subnet_name" {
  description = "Name of a subnet of it that exists; without one a subnet named pldns is made."
  type        = string
  default     = ""
}

variable "subnet_prefix" {
  description = "Prefix of the subnet that is made."
  type        = string
  default     = "10.0.0.0/26"
}

variable "nat_gateway" {
  description = "Whether the subnet that is made has a NAT gateway, for packages and the image; false where a firewall is the way out."
  type        = bool
  default     = true
}

variable "dns_address" {
  description = "Address of the DNS server, in the subnet."
  type        = string
  default     = "10.0.0.53"
}

variable "client_prefixes" {
  description = "Who may ask: prefixes of networks, VPN pools and forwarders."
  type        = list(string)
  default     = ["10.0.0.0/16", "172.16.10.0/24"]
}

variable "operator_prefixes" {
  description = "Who may open the page, the metrics and SSH: prefixes of a Bastion, of monitoring, of VPN clients of operators."
  type        = list(string)
  default     = []
}

variable "subscriptions" {
  description = "Ids of the subscriptions whose private endpoints are learned, this one if there is none; [] where the identity is given its role elsewhere."
  type        = list(string)
  default     = null
}

variable "vm_size" {
  description = "Size of a machine."
  type        = string
  default     = "Standard_B2s_v2"
}

data "azurerm_subscription" "this" {}

data "azurerm_resource_group" "hub" {
  name = var.resource_group
}

locals {
  zones         = toset(["1", "2"])
  network       = split("/", var.network_id)
  own_subnet    = var.subnet_name == "" ? toset(["pldns"]) : toset([])
  own_way_out   = var.nat_gateway ? local.own_subnet : toset([])
  subnet_id     = "${var.network_id}/subnets/${var.subnet_name == "" ? azurerm_subnet.pldns["pldns"].name : var.subnet_name}"
  subscriptions = toset(var.subscriptions == null ? [data.azurerm_subscription.this.subscription_id] : var.subscriptions)
  no_id         = "00000000-0000-0000-0000-000000000000"
  no_network    = "/subscriptions/${local.no_id}/resourceGroups/hub/providers/Microsoft.Network/virtualNetworks/hub"
  no_scope      = "/subscriptions/${local.no_id}"
  config        = replace(replace(file("${path.module}/pldns.toml"), local.no_network, var.network_id), local.no_scope, data.azurerm_subscription.this.id)
  identified    = replace(local.config, local.no_id, azurerm_user_assigned_identity.pldns.client_id)
  puller        = var.registry_id == "" ? "" : azurerm_user_assigned_identity.pldns.client_id
  script        = replace(replace(file("${path.module}/apply.sh"), "@IMAGE@", var.image), "@PULLER@", local.puller)
  apply         = replace(local.script, "@CONFIG@", base64encode(local.identified))
}

resource "azurerm_user_assigned_identity" "pldns" {
  name                = "pldns"
  location            = data.azurerm_resource_group.hub.location
  resource_group_name = data.azurerm_resource_group.hub.name
}

# What pldns needs to learn the private endpoints of a subscription: a role that reads
# and does nothing else. Each subscription has one of its own: the name is unique in the
# tenant.
resource "azurerm_role_definition" "reader" {
  for_each    = local.subscriptions
  name        = "pldns reader ${each.key}"
  description = "Lists private endpoints, their network interfaces, VNets, VPN gateways and private DNS zones."
  scope       = "/subscriptions/${each.key}"

  permissions {
    actions = [
      "Microsoft.Network/privateEndpoints/read",
      "Microsoft.Network/networkInterfaces/read",
      "Microsoft.Network/virtualNetworks/read",
      "Microsoft.Network/virtualNetworks/subnets/read",
      "Microsoft.Network/virtualNetworkGateways/read",
      "Microsoft.Network/privateDnsZones/read",
      "Microsoft.Network/privateDnsZones/*/read",
      "Microsoft.Network/privateDnsZones/virtualNetworkLinks/read",
      "Microsoft.Resources/subscriptions/read",
      "Microsoft.Resources/subscriptions/resourceGroups/read",
    ]
  }
}

resource "azurerm_role_assignment" "reader" {
  for_each           = local.subscriptions
  scope              = "/subscriptions/${each.key}"
  role_definition_id = azurerm_role_definition.reader[each.key].role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.pldns.principal_id
  principal_type     = "ServicePrincipal"
}

resource "azurerm_role_assignment" "puller" {
  for_each             = var.registry_id == "" ? toset([]) : toset([var.registry_id])
  scope                = each.key
  role_definition_name = "AcrPull"
  principal_id         = azurerm_user_assigned_identity.pldns.principal_id
  principal_type       = "ServicePrincipal"
}

# Of the network interfaces and not of the subnet, which may have one already.
resource "azurerm_network_security_group" "pldns" {
  name                = "pldns"
  location            = data.azurerm_resource_group.hub.location
  resource_group_name = data.azurerm_resource_group.hub.name

  security_rule {
    name                       = "dns"
    priority                   = 100
    direction                  = "Inbound"
    access                     = "Allow"
    protocol                   = "*"
    source_address_prefixes    = var.client_prefixes
    source_port_range          = "*"
    destination_address_prefix = "*"
    destination_port_range     = "53"
  }

  security_rule {
    name                       = "probe"
    priority                   = 110
    direction                  = "Inbound"
    access                     = "Allow"
    protocol                   = "Tcp"
    source_address_prefix      = "AzureLoadBalancer"
    source_port_range          = "*"
    destination_address_prefix = "*"
    destination_port_range     = "8053"
  }

  dynamic "security_rule" {
    for_each = length(var.operator_prefixes) == 0 ? [] : [var.operator_prefixes]
    content {
      name                       = "operators"
      priority                   = 120
      direction                  = "Inbound"
      access                     = "Allow"
      protocol                   = "Tcp"
      source_address_prefixes    = security_rule.value
      source_port_range          = "*"
      destination_address_prefix = "*"
      destination_port_ranges    = ["22", "8053"]
    }
  }

  security_rule {
    name                       = "nothing-else"
    priority                   = 4000
    direction                  = "Inbound"
    access                     = "Deny"
    protocol                   = "*"
    source_address_prefix      = "*"
    source_port_range          = "*"
    destination_address_prefix = "*"
    destination_port_range     = "*"
  }
}

resource "azurerm_public_ip" "out" {
  for_each            = local.own_way_out
  name                = "pldns-out"
  location            = data.azurerm_resource_group.hub.location
  resource_group_name = data.azurerm_resource_group.hub.name
  allocation_method   = "Static"
  sku                 = "Standard"
}

resource "azurerm_nat_gateway" "pldns" {
  for_each            = local.own_way_out
  name                = "pldns"
  location            = data.azurerm_resource_group.hub.location
  resource_group_name = data.azurerm_resource_group.hub.name
  sku_name            = "Standard"
}

resource "azurerm_nat_gateway_public_ip_association" "pldns" {
  for_each             = local.own_way_out
  nat_gateway_id       = azurerm_nat_gateway.pldns[each.key].id
  public_ip_address_id = azurerm_public_ip.out[each.key].id
}

resource "azurerm_subnet" "pldns" {
  for_each                        = local.own_subnet
  name                            = "pldns"
  resource_group_name             = local.network[4]
  virtual_network_name            = local.network[8]
  address_prefixes                = [var.subnet_prefix]
  default_outbound_access_enabled = false
}

resource "azurerm_subnet_nat_gateway_association" "pldns" {
  for_each       = local.own_way_out
  subnet_id      = azurerm_subnet.pldns[each.key].id
  nat_gateway_id = azurerm_nat_gateway.pldns[each.key].id
}

resource "azurerm_lb" "pldns" {
  name                = "pldns"
  location            = data.azurerm_resource_group.hub.location
  resource_group_name = data.azurerm_resource_group.hub.name
  sku                 = "Standard"

  frontend_ip_configuration {
    name                          = "dns"
    zones                         = ["1", "2", "3"]
    subnet_id                     = local.subnet_id
    private_ip_address_allocation = "Static"
    private_ip_address            = var.dns_address
  }
}

resource "azurerm_lb_backend_address_pool" "pldns" {
  name            = "pldns"
  loadbalancer_id = azurerm_lb.pldns.id
}

resource "azurerm_lb_probe" "ready" {
  name                = "ready"
  loadbalancer_id     = azurerm_lb.pldns.id
  protocol            = "Http"
  port                = 8053
  request_path        = "/readyz"
  interval_in_seconds = 5
  probe_threshold     = 2
}

resource "azurerm_lb_rule" "dns" {
  for_each                       = toset(["Udp", "Tcp"])
  name                           = "dns-${lower(each.key)}"
  loadbalancer_id                = azurerm_lb.pldns.id
  protocol                       = each.key
  frontend_port                  = 53
  backend_port                   = 53
  idle_timeout_in_minutes        = 4
  frontend_ip_configuration_name = "dns"
  backend_address_pool_ids       = [azurerm_lb_backend_address_pool.pldns.id]
  probe_id                       = azurerm_lb_probe.ready.id
}

# The machines themselves ask Azure: they are what everybody else asks.
resource "azurerm_network_interface" "pldns" {
  for_each            = local.zones
  name                = "pldns-${each.key}"
  location            = data.azurerm_resource_group.hub.location
  resource_group_name = data.azurerm_resource_group.hub.name
  dns_servers         = ["168.63.129.16"]

  ip_configuration {
    name                          = "main"
    subnet_id                     = local.subnet_id
    private_ip_address_allocation = "Dynamic"
  }
}

resource "azurerm_network_interface_security_group_association" "pldns" {
  for_each                  = local.zones
  network_interface_id      = azurerm_network_interface.pldns[each.key].id
  network_security_group_id = azurerm_network_security_group.pldns.id
}

resource "azurerm_network_interface_backend_address_pool_association" "pldns" {
  for_each                = local.zones
  network_interface_id    = azurerm_network_interface.pldns[each.key].id
  ip_configuration_name   = "main"
  backend_address_pool_id = azurerm_lb_backend_address_pool.pldns.id
}

resource "azurerm_linux_virtual_machine" "pldns" {
  for_each              = local.zones
  name                  = "pldns-${each.key}"
  location              = data.azurerm_resource_group.hub.location
  resource_group_name   = data.azurerm_resource_group.hub.name
  zone                  = each.key
  size                  = var.vm_size
  admin_username        = "azureuser"
  custom_data           = filebase64("${path.module}/cloud-init.yaml")
  network_interface_ids = [azurerm_network_interface.pldns[each.key].id]

  # The way out is needed at the first start.
  depends_on = [
    azurerm_nat_gateway_public_ip_association.pldns,
    azurerm_subnet_nat_gateway_association.pldns,
    azurerm_network_interface_security_group_association.pldns,
  ]

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.pldns.id]
  }

  admin_ssh_key {
    username   = "azureuser"
    public_key = var.ssh_public_key
  }

  os_disk {
    caching              = "ReadWrite"
    storage_account_type = "StandardSSD_LRS"
  }

  source_image_reference {
    publisher = "Canonical"
    offer     = "ubuntu-24_04-lts"
    sku       = "server"
    version   = "latest"
  }

  boot_diagnostics {}

  # A machine is prepared once: another cloud-init.yaml would replace both at a time.
  lifecycle {
    ignore_changes = [custom_data]
  }
}

# Image and configuration, on one machine after the other: it runs again when either
# changes, and the second machine goes on as it was where the first does not serve them.
resource "azurerm_virtual_machine_run_command" "first" {
  name               = "pldns"
  location           = data.azurerm_resource_group.hub.location
  virtual_machine_id = azurerm_linux_virtual_machine.pldns["1"].id

  depends_on = [
    azurerm_role_assignment.reader,
    azurerm_role_assignment.puller,
  ]

  source {
    script = local.apply
  }
}

resource "azurerm_virtual_machine_run_command" "second" {
  name               = "pldns"
  location           = data.azurerm_resource_group.hub.location
  virtual_machine_id = azurerm_linux_virtual_machine.pldns["2"].id
  depends_on         = [azurerm_virtual_machine_run_command.first]

  source {
    script = local.apply
  }
}

output "vpn_dns_servers" {
  description = "The DNS server for the profiles of VPN clients."
  value       = [var.dns_address]
}

output "forwarder_target" {
  description = "Where conditional forwarders send the public zones."
  value       = var.dns_address
}

output "machine_addresses" {
  description = "The addresses of the machines themselves, where page and metrics are, at port 8053."
  value       = [for nic in azurerm_network_interface.pldns : nic.private_ip_address]
}

output "identity_id" {
  description = "Id of the identity of the machines."
  value       = azurerm_user_assigned_identity.pldns.id
}
