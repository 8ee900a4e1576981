# The private DNS zones of network hub, with their records and links.
#
# Apply   terraform apply -var resource_group_name=my-group \
#           -var 'virtual_network_ids={ my-vnet = "/subscriptions/.../virtualNetworks/my-vnet" }'
# Test    az network private-dns record-set list --resource-group my-group --zone-name ZONE
# Remove  terraform destroy
#
# Zones of one name are told apart by their resource group: use a group for each network.

terraform {
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 4.0" # a release that has resolution_policy
    }
  }
}

variable "resource_group_name" {
  description = "The resource group of the zones."
  type        = string
}

variable "virtual_network_ids" {
  description = "Resource ids of the virtual networks that are answered from the zones, each with a name for its links."
  type        = map(string)
}

resource "azurerm_private_dns_zone" "zone0" {
  name                = "api.contoso.com"
  resource_group_name = var.resource_group_name
}

resource "azurerm_private_dns_zone_virtual_network_link" "zone0" {
  for_each              = var.virtual_network_ids
  name                  = each.key
  resource_group_name   = var.resource_group_name
  private_dns_zone_name = azurerm_private_dns_zone.zone0.name
  virtual_network_id    = each.value
  registration_enabled  = false
  resolution_policy     = "Default"
}

resource "azurerm_private_dns_a_record" "zone0_0" {
  name                = "@"
  zone_name           = azurerm_private_dns_zone.zone0.name
  resource_group_name = var.resource_group_name
  ttl                 = 10
  records             = ["10.0.1.12"]
}

resource "azurerm_private_dns_zone" "zone1" {
  name                = "apps.contoso.com"
  resource_group_name = var.resource_group_name
}

resource "azurerm_private_dns_zone_virtual_network_link" "zone1" {
  for_each              = var.virtual_network_ids
  name                  = each.key
  resource_group_name   = var.resource_group_name
  private_dns_zone_name = azurerm_private_dns_zone.zone1.name
  virtual_network_id    = each.value
  registration_enabled  = false
  resolution_policy     = "Default"
}

resource "azurerm_private_dns_a_record" "zone1_0" {
  name                = "*"
  zone_name           = azurerm_private_dns_zone.zone1.name
  resource_group_name = var.resource_group_name
  ttl                 = 10
  records             = ["10.0.1.13"]
}

resource "azurerm_private_dns_zone" "zone2" {
  name                = "corp.contoso.com"
  resource_group_name = var.resource_group_name
}

resource "azurerm_private_dns_zone_virtual_network_link" "zone2" {
  for_each              = var.virtual_network_ids
  name                  = each.key
  resource_group_name   = var.resource_group_name
  private_dns_zone_name = azurerm_private_dns_zone.zone2.name
  virtual_network_id    = each.value
  registration_enabled  = false
  resolution_policy     = "Default"
}

resource "azurerm_private_dns_mx_record" "zone2_0" {
  name                = "@"
  zone_name           = azurerm_private_dns_zone.zone2.name
  resource_group_name = var.resource_group_name
  ttl                 = 300
  record {
    preference = 10
    exchange   = "mail.corp.contoso.com"
  }
}

resource "azurerm_private_dns_txt_record" "zone2_1" {
  name                = "@"
  zone_name           = azurerm_private_dns_zone.zone2.name
  resource_group_name = var.resource_group_name
  ttl                 = 300
  record {
    value = "it's $${here}and \"there\""
  }
}

resource "azurerm_private_dns_srv_record" "zone2_2" {
  name                = "_ldap._tcp"
  zone_name           = azurerm_private_dns_zone.zone2.name
  resource_group_name = var.resource_group_name
  ttl                 = 300
  record {
    priority = 0
    weight   = 100
    port     = 389
    target   = "mail.corp.contoso.com"
  }
}

resource "azurerm_private_dns_cname_record" "zone2_3" {
  name                = "db"
  zone_name           = azurerm_private_dns_zone.zone2.name
  resource_group_name = var.resource_group_name
  ttl                 = 300
  record              = "momenta.database.windows.net"
}

resource "azurerm_private_dns_a_record" "zone2_4" {
  name                = "mail"
  zone_name           = azurerm_private_dns_zone.zone2.name
  resource_group_name = var.resource_group_name
  ttl                 = 300
  records             = ["10.0.2.1"]
}

resource "azurerm_private_dns_a_record" "zone2_5" {
  name                = "web"
  zone_name           = azurerm_private_dns_zone.zone2.name
  resource_group_name = var.resource_group_name
  ttl                 = 10
  records             = ["10.0.1.14"]
}

resource "azurerm_private_dns_zone" "zone3" {
  name                = "inside.contoso.com"
  resource_group_name = var.resource_group_name
}

resource "azurerm_private_dns_zone_virtual_network_link" "zone3" {
  for_each              = var.virtual_network_ids
  name                  = each.key
  resource_group_name   = var.resource_group_name
  private_dns_zone_name = azurerm_private_dns_zone.zone3.name
  virtual_network_id    = each.value
  registration_enabled  = false
  resolution_policy     = "Default"
}

resource "azurerm_private_dns_a_record" "zone3_0" {
  name                = "app"
  zone_name           = azurerm_private_dns_zone.zone3.name
  resource_group_name = var.resource_group_name
  ttl                 = 10
  records             = ["10.0.1.11"]
}

resource "azurerm_private_dns_zone" "zone4" {
  name                = "privatelink.azurecr.io"
  resource_group_name = var.resource_group_name
}

resource "azurerm_private_dns_zone_virtual_network_link" "zone4" {
  for_each              = var.virtual_network_ids
  name                  = each.key
  resource_group_name   = var.resource_group_name
  private_dns_zone_name = azurerm_private_dns_zone.zone4.name
  virtual_network_id    = each.value
  registration_enabled  = false
  resolution_policy     = "Default"
}

resource "azurerm_private_dns_a_record" "zone4_0" {
  name                = "contosoacr"
  zone_name           = azurerm_private_dns_zone.zone4.name
  resource_group_name = var.resource_group_name
  ttl                 = 60
  records             = ["10.0.1.6"]
}

resource "azurerm_private_dns_a_record" "zone4_1" {
  name                = "contosoacr.westeurope.data"
  zone_name           = azurerm_private_dns_zone.zone4.name
  resource_group_name = var.resource_group_name
  ttl                 = 10
  records             = ["10.0.1.7"]
}

resource "azurerm_private_dns_zone" "zone5" {
  name                = "privatelink.blob.core.windows.net"
  resource_group_name = var.resource_group_name
}

resource "azurerm_private_dns_zone_virtual_network_link" "zone5" {
  for_each              = var.virtual_network_ids
  name                  = each.key
  resource_group_name   = var.resource_group_name
  private_dns_zone_name = azurerm_private_dns_zone.zone5.name
  virtual_network_id    = each.value
  registration_enabled  = false
  resolution_policy     = "NxDomainRedirect"
}

resource "azurerm_private_dns_a_record" "zone5_0" {
  name                = "dual"
  zone_name           = azurerm_private_dns_zone.zone5.name
  resource_group_name = var.resource_group_name
  ttl                 = 10
  records             = ["10.0.1.5"]
}

resource "azurerm_private_dns_aaaa_record" "zone5_1" {
  name                = "dual"
  zone_name           = azurerm_private_dns_zone.zone5.name
  resource_group_name = var.resource_group_name
  ttl                 = 10
  records             = ["fd00::5"]
}

resource "azurerm_private_dns_zone" "zone6" {
  name                = "privatelink.database.windows.net"
  resource_group_name = var.resource_group_name
}

resource "azurerm_private_dns_zone_virtual_network_link" "zone6" {
  for_each              = var.virtual_network_ids
  name                  = each.key
  resource_group_name   = var.resource_group_name
  private_dns_zone_name = azurerm_private_dns_zone.zone6.name
  virtual_network_id    = each.value
  registration_enabled  = false
  resolution_policy     = "NxDomainRedirect"
}

resource "azurerm_private_dns_a_record" "zone6_0" {
  name                = "momenta"
  zone_name           = azurerm_private_dns_zone.zone6.name
  resource_group_name = var.resource_group_name
  ttl                 = 10
  records             = ["10.0.1.8"]
}

resource "azurerm_private_dns_zone" "zone7" {
  name                = "privatelink.queue.core.windows.net"
  resource_group_name = var.resource_group_name
}

resource "azurerm_private_dns_zone_virtual_network_link" "zone7" {
  for_each              = var.virtual_network_ids
  name                  = each.key
  resource_group_name   = var.resource_group_name
  private_dns_zone_name = azurerm_private_dns_zone.zone7.name
  virtual_network_id    = each.value
  registration_enabled  = false
  resolution_policy     = "Default"
}

resource "azurerm_private_dns_zone" "zone8" {
  name                = "privatelink.uksouth.azurecontainerapps.io"
  resource_group_name = var.resource_group_name
}

resource "azurerm_private_dns_zone_virtual_network_link" "zone8" {
  for_each              = var.virtual_network_ids
  name                  = each.key
  resource_group_name   = var.resource_group_name
  private_dns_zone_name = azurerm_private_dns_zone.zone8.name
  virtual_network_id    = each.value
  registration_enabled  = false
  resolution_policy     = "NxDomainRedirect"
}

resource "azurerm_private_dns_a_record" "zone8_0" {
  name                = "*.calmwater-75a475e8"
  zone_name           = azurerm_private_dns_zone.zone8.name
  resource_group_name = var.resource_group_name
  ttl                 = 10
  records             = ["10.0.1.10"]
}

resource "azurerm_private_dns_zone" "zone9" {
  name                = "privatelink.vaultcore.azure.net"
  resource_group_name = var.resource_group_name
}

resource "azurerm_private_dns_zone_virtual_network_link" "zone9" {
  for_each              = var.virtual_network_ids
  name                  = each.key
  resource_group_name   = var.resource_group_name
  private_dns_zone_name = azurerm_private_dns_zone.zone9.name
  virtual_network_id    = each.value
  registration_enabled  = false
  resolution_policy     = "NxDomainRedirect"
}

resource "azurerm_private_dns_a_record" "zone9_0" {
  name                = "contosokv"
  zone_name           = azurerm_private_dns_zone.zone9.name
  resource_group_name = var.resource_group_name
  ttl                 = 10
  records             = ["10.0.1.4"]
}

resource "azurerm_private_dns_zone" "zone10" {
  name                = "privatelink.westeurope.azmk8s.io"
  resource_group_name = var.resource_group_name
}

resource "azurerm_private_dns_zone_virtual_network_link" "zone10" {
  for_each              = var.virtual_network_ids
  name                  = each.key
  resource_group_name   = var.resource_group_name
  private_dns_zone_name = azurerm_private_dns_zone.zone10.name
  virtual_network_id    = each.value
  registration_enabled  = false
  resolution_policy     = "NxDomainRedirect"
}

resource "azurerm_private_dns_a_record" "zone10_0" {
  name                = "aks1.01e40daf"
  zone_name           = azurerm_private_dns_zone.zone10.name
  resource_group_name = var.resource_group_name
  ttl                 = 10
  records             = ["10.0.1.9"]
}

resource "azurerm_private_dns_zone" "zone11" {
  name                = "www.open.contoso.com"
  resource_group_name = var.resource_group_name
}

resource "azurerm_private_dns_zone_virtual_network_link" "zone11" {
  for_each              = var.virtual_network_ids
  name                  = each.key
  resource_group_name   = var.resource_group_name
  private_dns_zone_name = azurerm_private_dns_zone.zone11.name
  virtual_network_id    = each.value
  registration_enabled  = false
  resolution_policy     = "Default"
}

resource "azurerm_private_dns_a_record" "zone11_0" {
  name                = "@"
  zone_name           = azurerm_private_dns_zone.zone11.name
  resource_group_name = var.resource_group_name
  ttl                 = 300
  records             = ["10.0.2.2"]
}

resource "azurerm_private_dns_aaaa_record" "zone11_1" {
  name                = "@"
  zone_name           = azurerm_private_dns_zone.zone11.name
  resource_group_name = var.resource_group_name
  ttl                 = 300
  records             = ["fd00::22"]
}
