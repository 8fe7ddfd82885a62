"""Give lines their form."""
