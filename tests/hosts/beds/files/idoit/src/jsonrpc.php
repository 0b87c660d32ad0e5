<?php

header("Content-Type: application/json");
echo json_encode(["jsonrpc" => "2.0", "error" => ["code" => -32600, "message" => "Invalid request"], "id" => null]);
