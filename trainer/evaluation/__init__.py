"""How good a picture is: metrics, the sets that they are taken on, and the tables and sheets that show them."""
