//! The table `charges`: the columns of FOCUS 1.4, under its names.
//!
//! A column is free of nulls where FOCUS says so of a mandatory one; a conditional or recommended one may be absent from what a
//! provider sends, and is null then.

use std::sync::LazyLock;

use arrow::datatypes::TimeUnit;

use super::CatalogTable;
use super::column::{Column, Kind, Lists, text};
use crate::table::TimeColumns;

static LISTS: LazyLock<Lists> = LazyLock::new(|| Lists::of(TABLE.columns()));

pub(super) static TABLE: CatalogTable = CatalogTable {
    name: "charges",
    about: "One charge, as FOCUS 1.4 has it. JSON stands as it came, because tags may be numbers or true.",
    columns: COLUMNS,
    has_origin: false,
    sort: &["ServiceName", "SubAccountId", "ResourceId", "ChargePeriodStart"],
    time: TimeColumns { first: "ChargePeriodStart", last: "ChargePeriodEnd", unit: TimeUnit::Microsecond },
    lists: &LISTS,
};

const fn decimal(name: &'static str, about: &'static str) -> Column {
    Column::new(name, Kind::Decimal, about).dictionary()
}

const fn time(name: &'static str, about: &'static str) -> Column {
    Column::new(name, Kind::Timestamp, about).dictionary()
}

const COLUMNS: &[Column] = &[
    text("AllocatedMethodDetails", "How a split cost was computed; JSON object.").dictionary(),
    text("AllocatedMethodId", "The method by which the provider split the cost.").dictionary(),
    text("AllocatedResourceId", "What the split cost falls to.").dictionary(),
    text("AllocatedResourceName", "Display name of that.").dictionary(),
    text("AllocatedTags", "Tags of what the split cost falls to; JSON object.").dictionary(),
    text("AvailabilityZone", "Zone within the region.").dictionary(),
    decimal("BilledCost", "What the invoice says.").required(),
    text("BillingAccountId", "The account that is billed.").required().dictionary().statistics(),
    text("BillingAccountName", "Display name of the account that is billed.").dictionary(),
    text("BillingAccountType", "The provider's name for that kind of account.").dictionary(),
    text("BillingCurrency", "Currency of the costs.").required().dictionary(),
    time("BillingPeriodEnd", "End of the billing period, excluded.").required(),
    time("BillingPeriodStart", "Beginning of the billing period.").required().statistics(),
    text("CapacityReservationId", "The reservation of capacity that it belongs to.").dictionary(),
    text("CapacityReservationStatus", "`Used` or `Unused`.").dictionary(),
    text("ChargeCategory", "`Usage`, `Purchase`, `Tax`, `Credit` or `Adjustment`.")
        .required()
        .dictionary()
        .statistics(),
    text("ChargeClass", "`Correction` of a period that was closed, or null.").dictionary(),
    text("ChargeDescription", "Purpose and price in a sentence.").dictionary(),
    text("ChargeFrequency", "`One-Time`, `Recurring` or `Usage-Based`.").dictionary(),
    time("ChargePeriodEnd", "End of the time that it is for, excluded.").required(),
    time("ChargePeriodStart", "Beginning of the time that it is for.").required(),
    text("CommitmentDiscountCategory", "`Spend` or `Usage`.").dictionary(),
    text("CommitmentDiscountId", "The commitment that gives the discount.").dictionary(),
    text("CommitmentDiscountName", "Display name of the commitment.").dictionary(),
    decimal("CommitmentDiscountQuantity", "How much of the commitment."),
    text("CommitmentDiscountStatus", "`Used` or `Unused`.").dictionary(),
    text("CommitmentDiscountType", "The provider's name for that kind of commitment.").dictionary(),
    text("CommitmentDiscountUnit", "Unit of `CommitmentDiscountQuantity`.").dictionary(),
    text("CommitmentProgramEligibilityDetails", "Programs for which the usage is eligible; JSON object.")
        .dictionary(),
    decimal("ConsumedQuantity", "How much was used."),
    text("ConsumedUnit", "Unit of `ConsumedQuantity`.").dictionary(),
    text("ContractApplied", "Contract commitments that it counts towards; JSON object.").dictionary(),
    decimal("ContractedCost", "Cost at negotiated prices.").required(),
    decimal("ContractedUnitPrice", "Negotiated price of a unit."),
    decimal("EffectiveCost", "Cost after discounts, with purchases spread over what they cover.").required(),
    text("HostProviderName", "Whose infrastructure it runs on.").dictionary(),
    text("InvoiceDetailId", "Line of the invoice.").dictionary(),
    text("InvoiceId", "The invoice.").dictionary(),
    text("InvoiceIssuerName", "Who sends the invoice.").required().dictionary(),
    decimal("ListCost", "Cost at published prices.").required(),
    decimal("ListUnitPrice", "Published price of a unit."),
    text("PricingCategory", "`Standard`, `Dynamic`, `Committed` or `Other`.").dictionary(),
    text("PricingCurrency", "Currency of the prices.").dictionary(),
    decimal("PricingCurrencyContractedUnitPrice", "Negotiated price of a unit in `PricingCurrency`."),
    decimal("PricingCurrencyEffectiveCost", "`EffectiveCost` in `PricingCurrency`."),
    decimal("PricingCurrencyListUnitPrice", "Published price of a unit in `PricingCurrency`."),
    decimal("PricingQuantity", "How many units are priced."),
    text("PricingUnit", "Unit of `PricingQuantity`.").dictionary(),
    text("RegionId", "The region.").dictionary().statistics(),
    text("RegionName", "Display name of the region.").dictionary(),
    text("ResourceId", "The resource.").dictionary().statistics(),
    text("ResourceName", "Display name of the resource.").dictionary(),
    text("ResourceType", "Kind of the resource.").dictionary(),
    text("ServiceCategory", "Category of the service, from FOCUS' list.")
        .required()
        .dictionary()
        .statistics(),
    text("ServiceName", "The service.").required().dictionary(),
    text("ServiceProviderName", "Who offers the service.").required().dictionary().statistics(),
    text("ServiceSubcategory", "Category within `ServiceCategory`, from FOCUS' list.").dictionary(),
    text("SkuId", "What is sold.").dictionary(),
    text("SkuMeter", "What of it is measured.").dictionary(),
    text("SkuPriceDetails", "Properties of the price; JSON object.").dictionary(),
    text("SkuPriceId", "The price.").dictionary(),
    text("SubAccountId", "The account, subscription or project within the billed account.")
        .dictionary()
        .statistics(),
    text("SubAccountName", "Display name of that.").dictionary(),
    text("SubAccountType", "The provider's name for that kind of account.").dictionary(),
    text("Tags", "Tags; JSON object.").dictionary(),
    text("x_ImportId", "Ours: the import that brought it, so that a corrected one can take its place.")
        .dictionary()
        .statistics(),
];
