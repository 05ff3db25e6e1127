export { AmazonConnectApp } from "@amazon-connect/app";
export { ContactClient } from "@amazon-connect/contact";
