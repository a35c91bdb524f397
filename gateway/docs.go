package gateway

import (
	_ "embed"
	"net/http"

	"github.com/labstack/echo/v4"
)

//go:embed docs/index.html
var docsPage []byte

//go:embed docs/docs.js
var docsScript []byte

// docs is GET /docs: the OpenAPI document, drawn.
func (s *Server) docs(c echo.Context) error {
	return page(c, docsPage, "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'")
}

// docsScript is GET /docs/docs.js.
func (s *Server) docsScript(c echo.Context) error {
	c.Response().Header().Set("X-Content-Type-Options", "nosniff")
	return c.Blob(http.StatusOK, "text/javascript; charset=UTF-8", docsScript)
}

// page answers a page that may load only what its policy names.
func page(c echo.Context, html []byte, policy string) error {
	h := c.Response().Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	return c.HTMLBlob(http.StatusOK, html)
}
