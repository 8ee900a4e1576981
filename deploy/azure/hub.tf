# A hub network with pldns: two virtual machines in two zones behind an internal
# load balancer, which is the DNS server of the network, of VPN clients, and the
# target of conditional forwarders. hub.bicep is the same for Bicep.
terraform {
  required_version = ">= 1.5"
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 4.0"
    }
  }
}

provider "azurerm" {
  features {}
}

variable "resource_group" {
  description = "Name of the resource group, which exists."
  type        = string
}

variable "image" {
  description = "Full name of the image, which the machines can pull."
  type        = string
}

variable "ssh_public_key" {
  description = "Public SSH key of the user azureuser. Nothing lets SSH in from outside the network."
  type        = string
}

variable "hub_prefix" {
  description = "Prefix of the hub network."
  type        = string
  default     = "10.0.0.0/16"
}

variable "subnet_prefix" {
  description = "Prefix of the subnet of the machines, in the hub."
  type        = string
  default     = "10.0.0.0/26"
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

variable "vm_size" {
  description = "Size of a machine."
  type        = string
  default     = "Standard_B2s_v2"
}

locals {
  zones      = toset(["1", "2"])
  cloud_init = replace(replace(file("${path.module}/cloud-init.yaml"), "@IMAGE@", var.image), "@CONFIG@", filebase64("${path.module}/pldns.toml"))
}

data "azurerm_resource_group" "hub" {
  name = var.resource_group
}

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
    destination_port_range     = "53"
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

# The way out, for packages and the image.
resource "azurerm_public_ip" "out" {
  name                = "pldns-out"
  location            = data.azurerm_resource_group.hub.location
  resource_group_name = data.azurerm_resource_group.hub.name
  allocation_method   = "Static"
  sku                 = "Standard"
}

resource "azurerm_nat_gateway" "pldns" {
  name                = "pldns"
  location            = data.azurerm_resource_group.hub.location
  resource_group_name = data.azurerm_resource_group.hub.name
  sku_name            = "Standard"
}

resource "azurerm_nat_gateway_public_ip_association" "pldns" {
  nat_gateway_id       = azurerm_nat_gateway.pldns.id
  public_ip_address_id = azurerm_public_ip.out.id
}

resource "azurerm_virtual_network" "hub" {
  name                = "hub"
  location            = data.azurerm_resource_group.hub.location
  resource_group_name = data.azurerm_resource_group.hub.name
  address_space       = [var.hub_prefix]
  dns_servers         = [var.dns_address]
}

resource "azurerm_subnet" "dns" {
  name                 = "dns"
  resource_group_name  = data.azurerm_resource_group.hub.name
  virtual_network_name = azurerm_virtual_network.hub.name
  address_prefixes     = [var.subnet_prefix]
}

resource "azurerm_subnet_network_security_group_association" "dns" {
  subnet_id                 = azurerm_subnet.dns.id
  network_security_group_id = azurerm_network_security_group.pldns.id
}

resource "azurerm_subnet_nat_gateway_association" "dns" {
  subnet_id      = azurerm_subnet.dns.id
  nat_gateway_id = azurerm_nat_gateway.pldns.id
}

resource "azurerm_lb" "pldns" {
  name                = "pldns"
  location            = data.azurerm_resource_group.hub.location
  resource_group_name = data.azurerm_resource_group.hub.name
  sku                 = "Standard"

  frontend_ip_configuration {
    name                          = "dns"
    zones                         = ["1", "2", "3"]
    subnet_id                     = azurerm_subnet.dns.id
    private_ip_address_allocation = "Static"
    private_ip_address            = var.dns_address
  }
}

resource "azurerm_lb_backend_address_pool" "pldns" {
  name            = "pldns"
  loadbalancer_id = azurerm_lb.pldns.id
}

resource "azurerm_lb_probe" "dns" {
  name                = "dns"
  loadbalancer_id     = azurerm_lb.pldns.id
  protocol            = "Tcp"
  port                = 53
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
  probe_id                       = azurerm_lb_probe.dns.id
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
    subnet_id                     = azurerm_subnet.dns.id
    private_ip_address_allocation = "Dynamic"
  }
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
  custom_data           = base64encode(local.cloud_init)
  network_interface_ids = [azurerm_network_interface.pldns[each.key].id]

  # The way out is needed at the first start.
  depends_on = [
    azurerm_nat_gateway_public_ip_association.pldns,
    azurerm_subnet_nat_gateway_association.dns,
    azurerm_subnet_network_security_group_association.dns,
  ]

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
}

output "vpn_dns_servers" {
  description = "The DNS server for the profiles of VPN clients."
  value       = [var.dns_address]
}

output "forwarder_target" {
  description = "Where conditional forwarders send the public zones."
  value       = var.dns_address
}

output "hub_id" {
  description = "The network whose DNS server this is."
  value       = azurerm_virtual_network.hub.id
}
