"""Nothing is replaced for `obskit.wsgi.Middleware`; the row switches it."""
