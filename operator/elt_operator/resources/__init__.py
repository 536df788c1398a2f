"""The resources as users see them: names, fields, conditions, reasons and the CRDs generated from them."""
